/** The report as it arrives: a tab per part, readable Markdown, copied and saved. */

import { html, useEffect, useLayoutEffect, useRef, useState } from "./dom.js";
import { Choice } from "./form.js";
import { title, words } from "./format.js";
import { render } from "./markdown.js";
import { Opinion } from "./opinion.js";
import { partsOf, reportMarkdown } from "./parts.js";
import { reuseOf } from "./reuse.js";
import { isAnswered, isOver } from "./state.js";

const NOTHING = "This run wrote nothing.";
const NOT_YET = "Nothing to read yet.";

/** `runs` are those of the race, in order; the last is shown first. */
export function Report({ app, runs, onAnew }) {
  const [mode, setMode] = useState(null);
  const [chosen, setChosen] = useState(null);
  const run = runs.find((one) => one.mode === mode) ?? runs.at(-1);
  const parts = partsOf(run, app.phases);
  const part = parts.find((one) => one.phase === chosen) ?? parts[0];
  const anew = (runId) => onAnew(run.mode, runId);
  return html`
    <section class="panel report" aria-labelledby="report-title">
      <header class="report-head">
        <h2 id="report-title">Report</h2>
        ${
          runs.length > 1 &&
          html`<${Choice}
          name="report-mode"
          legend="of"
          value=${run.mode}
          options=${runs.map((one) => [one.mode, title(one.mode)])}
          onChange=${setMode}
        />`
        }
        ${isAnswered(run) && html`<${Opinion} key=${run.runId} run=${run} onAnew=${anew} />`}
        <${Take} run=${run} app=${app} isEmpty=${!parts.length} />
      </header>
      <${Notes} run=${run} />
      <${Reused} run=${run} />
      ${
        part
          ? html`<${Tabs} parts=${parts} chosen=${part.phase} onChoose=${setChosen} />
            <${Part} key=${run.runId + part.phase} part=${part} run=${run} onAnew=${anew} />`
          : html`<p class="quiet report-empty">${isOver(run) ? NOTHING : NOT_YET}</p>`
      }
    </section>
  `;
}

/** What a reader must know first: what went wrong, or what had to do without. */
function Notes({ run }) {
  return html`
    ${
      run.error &&
      html`<p class="note bad" role="alert">
        <strong>${title(run.status)}:</strong> ${run.error.message}
      </p>`
    }
    ${
      run.degraded.length > 0 &&
      (!isOver(run) || isAnswered(run)) &&
      html`<div class="note warn">
      <strong>Degraded.</strong> This report went on without what it wanted:
      <ul>
        ${run.degraded.map(
          ({ step, reason }, place) => html`<li key=${place}><b>${words(step)}</b>: ${reason}</li>`,
        )}
      </ul>
    </div>`
    }
  `;
}

/** What was computed before, and how old each block is. */
function Reused({ run }) {
  const reused = reuseOf(run);
  if (!reused) return null;
  return html`
    <div class="reused">
      <p class="quiet">${reused.text}</p>
      <ul class="blocks" aria-label="Blocks">
        ${reused.blocks.map(
          ({ name, isFresh, label }) =>
            html`<li key=${name} class=${isFresh ? "chip fresh" : "chip"}>${name}: ${label}</li>`,
        )}
      </ul>
    </div>
  `;
}

function Take({ run, app, isEmpty }) {
  const [said, setSaid] = useState("");
  useEffect(() => {
    const timer = said && setTimeout(() => setSaid(""), 2_000);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(reportMarkdown(run, app));
      setSaid("Copied");
    } catch {
      setSaid("The browser refused to copy");
    }
  };
  const save = () => {
    saveFile(`${app.name}-${run.mode}-${run.runId}.md`, reportMarkdown(run, app));
    setSaid("Saved");
  };
  return html`
    <div class="take">
      <span class="quiet" role="status">${said}</span>
      <button type="button" onClick=${copy} disabled=${isEmpty}>Copy</button>
      <button type="button" onClick=${save} disabled=${isEmpty}>Save .md</button>
    </div>
  `;
}

function saveFile(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/markdown" }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

/** Tabs as the ARIA practices have them: one stop, arrows move. */
function Tabs({ parts, chosen, onChoose }) {
  const onKeyDown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const here = parts.findIndex((part) => part.phase === chosen);
    const next = parts[(here + step + parts.length) % parts.length].phase;
    onChoose(next);
    event.currentTarget.querySelector(`#tab-${CSS.escape(next)}`)?.focus();
  };
  return html`
    <div class="tabs" role="tablist" aria-label="Parts of the report" onKeyDown=${onKeyDown}>
      ${parts.map(
        (part) => html`
          <button
            key=${part.phase}
            type="button"
            role="tab"
            id="tab-${part.phase}"
            aria-controls="report-part"
            aria-selected=${part.phase === chosen}
            tabindex=${part.phase === chosen ? 0 : -1}
            onClick=${() => onChoose(part.phase)}
          >
            ${part.title}
            ${!part.isDone && html`<span class="writing" aria-label="being written"></span>`}
          </button>
        `,
      )}
    </div>
  `;
}

function Part({ part, run, onAnew }) {
  const canJudge = ({ key }) => isAnswered(run) && run.outputs.some((one) => one.name === key);
  return html`
    <article
      class="part"
      id="report-part"
      role="tabpanel"
      aria-labelledby="tab-${part.phase}"
      aria-busy=${!part.isDone}
      tabindex="0"
    >
      ${part.blocks.map(
        (block) => html`
          <${Block} key=${block.key} text=${block.text} />
          ${canJudge(block) && html`<${Opinion} run=${run} block=${block.key} onAnew=${onAnew} />`}
        `,
      )}
    </article>
  `;
}

/** One piece of Markdown, drawn anew only when its text has changed. */
function Block({ text }) {
  const element = useRef(null);
  useLayoutEffect(() => {
    element.current.replaceChildren(render(text));
  }, [text]);
  return html`<div class="prose" ref=${element}></div>`;
}
