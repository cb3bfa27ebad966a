/** From a run's texts and outputs to the parts of its report. Pure; report.js draws them. */

import { seconds, title, words } from "./format.js";
import { isOver } from "./state.js";

/**
 * The parts of a report, one per phase that has anything to read, in the order of
 * `phases`: `{phase, title, isDone, blocks}`. A finished phase shows its outputs, one
 * under way the sections written so far, in the order their model calls began.
 */
export function partsOf(run, phases) {
  const order = [
    ...new Set([
      ...Object.keys(phases),
      ...run.outputs.map((one) => one.phase),
      ...run.texts.map((one) => one.phase),
    ]),
  ];
  return order
    .map((phase) => {
      const outputs = run.outputs.filter((one) => one.phase === phase);
      const blocks = outputs.length ? outputs.map(outputBlock) : sectionBlocks(run, phase);
      return {
        phase,
        title: phases[phase] ?? title(phase || "text"),
        isDone: outputs.length > 0 || isOver(run),
        blocks,
      };
    })
    .filter((part) => part.blocks.length);
}

const outputBlock = ({ name, value }) => ({
  key: name,
  text: typeof value === "string" ? value : asJson(value),
});

const asJson = (value) => `\`\`\`json\n${JSON.stringify(value, null, 2)}\n\`\`\``;

function sectionBlocks(run, phase) {
  const place = ({ section }) => {
    const found = run.spans.findIndex((span) => span.attributes.section === section);
    return found < 0 ? run.spans.length : found;
  };
  return run.texts
    .filter((text) => text.phase === phase)
    .sort((a, b) => place(a) - place(b))
    .map(({ section, text }) => ({ key: section, text: withHeading(section, text) }));
}

/** A section that does not begin with its own heading gets its name as one. */
function withHeading(section, text) {
  const isHeaded = /^\s*#{1,6}\s/.test(text);
  return isHeaded || !section ? text : `## ${title(section)}\n\n${text}`;
}

/** The whole report as Markdown, with a first paragraph that says where it comes from. */
export function reportMarkdown(run, app) {
  const parts = partsOf(run, app.phases).map(
    (part) => `# ${part.title}\n\n${part.blocks.map((one) => one.text.trim()).join("\n\n")}`,
  );
  const unit = run.isSimulated ? "simulated seconds, simulated model" : "seconds";
  const took = run.endS === null ? "unfinished" : `${seconds(run.endS)} (${unit})`;
  const origin = `*${app.title}, ${words(run.mode)}, ${took}, ${run.runId}.*`;
  return [origin, ...degradedLines(run), ...parts].join("\n\n") + "\n";
}

const degradedLines = (run) =>
  run.degraded.length
    ? [run.degraded.map(({ step, reason }) => `> Degraded: ${words(step)}, ${reason}`).join("\n")]
    : [];
