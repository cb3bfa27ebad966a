/** A run drawn as a live waterfall: bars in lanes, phase by phase, on an axis that runs share. */

import { html, useLayoutEffect, useMemo, useRef, useState } from "./dom.js";
import { number, seconds, title, words } from "./format.js";
import { barsOf, groupsOf, layOut } from "./lanes.js";
import { elapsedS, isOver } from "./state.js";

const PAD_PX = 3;
const BAR_GAP_PX = 2;
const FONT_PX = 11;
const LABEL_GAP_PX = 6;

/** The width of the element `ref` is put on, as it changes. */
export function useWidth() {
  const ref = useRef(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, []);
  return [ref, width];
}

/** The bars of a run by phase; worked out again only when a span began or ended. */
function useGroups(run, phases) {
  return useMemo(() => groupsOf(barsOf(run), phases), [run.spans, run.critical, phases]);
}

/** Where everything of each run goes by now; `endS` and `widthPx` are the shared axis. */
export function usePlans(runs, { phases, nowMs, endS, widthPx }) {
  const known = useRef(new Map());
  const scale = (valueS) => (valueS / endS) * widthPx;
  return runs.map((run) => {
    const held = known.current.get(run.mode);
    const groups =
      held?.spans === run.spans && held.critical === run.critical
        ? held.groups
        : groupsOf(barsOf(run), phases);
    known.current.set(run.mode, { spans: run.spans, critical: run.critical, groups });
    const nowS = elapsedS(run, nowMs);
    return {
      run,
      nowS,
      groups: groups.map((group) => ({
        ...group,
        ...layOut(group.bars, { scale, nowS, widthPx, measure }),
      })),
    };
  });
}

/** `plan` is one of `usePlans`, `axis` is `{scale, ticks, widthPx}`, `lanePx` the height of a lane. */
export function Waterfall({ plan, axis, lanePx }) {
  const { run, groups, nowS } = plan;
  const state = isOver(run) ? `over ${run.critical.length ? "weighed" : ""}` : "live";
  const parts = groups.map((group) => `${group.title}, ${group.bars.length} parts`).join("; ");
  const said = `Waterfall of ${words(run.mode)}: ${parts || "nothing yet"}`;
  const shared = { axis, nowS, lanePx };
  return html`
    <div class="waterfall ${state}" role="img" aria-label=${said}>
      ${groups.map((group) => html`<${Group} key=${group.phase} group=${group} ...${shared} />`)}
      ${!groups.length && html`<${Group} group=${NO_GROUP} ...${shared} />`}
    </div>
  `;
}

/** The place where bars will be. */
const NO_GROUP = { phase: "", title: "", lanes: 3, placed: [] };

function Group({ group, axis, nowS, lanePx }) {
  const { scale, ticks, widthPx } = axis;
  const height = group.lanes * lanePx + 2 * PAD_PX;
  const upright = (name, atS) =>
    html`<line key=${atS} class=${name} x1=${scale(atS)} x2=${scale(atS)} y1="0" y2=${height} />`;
  return html`
    <div class="group">
      <span class="group-title">${group.title}</span>
      <svg width=${widthPx} height=${height} aria-hidden="true">
        ${ticks.map((tick) => upright("grid-line", tick))} ${nowS > 0 && upright("now", nowS)}
        ${group.placed.map((bar) => html`<${Bar} key=${bar.id} ...${{ bar, nowS, lanePx }} />`)}
      </svg>
    </div>
  `;
}

const WRONG = new Set(["failed", "timeout", "cancelled", "degraded"]);

function Bar({ bar, nowS, lanePx }) {
  const top = PAD_PX + bar.lane * lanePx;
  const height = lanePx - BAR_GAP_PX - (lanePx > 14 ? 2 : 0);
  const state = bar.endS === null ? "running" : WRONG.has(bar.status) ? bar.status : "ok";
  const fontSize = `${Math.min(FONT_PX, lanePx - 2)}px`;
  const label = {
    in: { x: bar.x + LABEL_GAP_PX, "text-anchor": "start" },
    right: { x: bar.x + bar.width + LABEL_GAP_PX, "text-anchor": "start" },
    left: { x: bar.x - LABEL_GAP_PX, "text-anchor": "end" },
  }[bar.side];
  return html`
    <g class="bar ${bar.kind} ${state} ${bar.isCritical ? "critical" : ""}">
      <title>${describe(bar)}</title>
      <rect x=${bar.x} y=${top + (lanePx - height) / 2} width=${bar.width} ...${{ height }} rx="2.5" />
      <text class=${bar.side} style=${{ fontSize }} ...${label} y=${top + lanePx / 2 + 3.8}>
        ${bar.label} <tspan class="took">${seconds((bar.endS ?? nowS) - bar.startS)}</tspan>
      </text>
    </g>
  `;
}

function describe(bar) {
  const { tokens_in: tokensIn, tokens_out: tokensOut, error, missed } = bar.attributes;
  return [
    `${bar.label} (${bar.kind}${bar.isCritical ? ", on the critical path" : ""})`,
    `${seconds(bar.startS)} → ${bar.endS === null ? "running" : seconds(bar.endS)}`,
    tokensOut && `${number(tokensIn)} tokens in, ${number(tokensOut)} out`,
    WRONG.has(bar.status) && `${bar.status}${error ? `: ${error.message}` : ""}`,
    missed?.length && `went without ${missed.map(words).join(", ")}`,
  ]
    .filter(Boolean)
    .join("\n");
}

const widths = new Map();
let pen = null;

/** The width of a bar's label with its time, in pixels; names are measured once. */
function measure(bar) {
  if (!widths.has(bar.label)) {
    if (!pen) {
      pen = document.createElement("canvas").getContext("2d");
      pen.font = `${FONT_PX}px ${getComputedStyle(document.body).fontFamily}`;
    }
    widths.set(bar.label, pen.measureText(bar.label).width);
  }
  return widths.get(bar.label) + 42;
}

/** The axis under the waterfalls. */
export function Axis({ axis, unit }) {
  const { scale, ticks, widthPx } = axis;
  const anchor = (x) => (x === 0 ? "start" : x > widthPx - 10 ? "end" : "middle");
  const mark = (tick, x) =>
    html`<text key=${tick} x=${x} y="14" text-anchor=${anchor(x)}>${tick}</text>`;
  return html`
    <div class="group axis" aria-hidden="true">
      <span class="group-title">${unit}</span>
      <svg width=${widthPx} height="20">${ticks.map((tick) => mark(tick, scale(tick)))}</svg>
    </div>
  `;
}

/** The same as figures: for those who cannot see bars, and for those who want numbers. */
export function SpanTable({ runs, phases }) {
  return html`
    <details class="figures">
      <summary>Every step in figures</summary>
      <div class="figures-body">
        ${runs.map((run) => html`<${RunTable} key=${run.mode} run=${run} phases=${phases} />`)}
      </div>
    </details>
  `;
}

function RunTable({ run, phases }) {
  const bars = useGroups(run, phases).flatMap((group) =>
    group.bars.map((bar) => ({ ...bar, group: group.title })),
  );
  return html`
    <table>
      <caption>${title(run.mode)}</caption>
      <thead>
        <tr>
          <th scope="col">Step</th>
          <th scope="col">Part</th>
          <th scope="col">Kind</th>
          <th scope="col" class="num">Start</th>
          <th scope="col" class="num">Took</th>
          <th scope="col">Critical</th>
        </tr>
      </thead>
      <tbody>
        ${bars.map(
          (bar) => html`
            <tr key=${bar.id}>
              <th scope="row">${bar.label}</th><td>${bar.group}</td><td>${bar.kind}</td>
              <td class="num">${seconds(bar.startS)}</td>
              <td class="num">${bar.endS === null ? "…" : seconds(bar.endS - bar.startS)}</td>
              <td>${bar.isCritical ? "yes" : ""}</td>
            </tr>
          `,
        )}
      </tbody>
    </table>
  `;
}
