/** The race's headline: what each run took and used, and how many times as fast the last one is. */

import { html } from "./dom.js";
import { dollars, number, seconds, secondsNumber, times, title } from "./format.js";
import { elapsedS, isOver, speedup, totals } from "./state.js";

const SAID = {
  idle: "",
  starting: "starting",
  running: "running",
  complete: "complete",
  degraded: "degraded",
  failed: "failed",
  cancelled: "cancelled",
  lost: "connection lost",
};

const FASTER = { waiting: "times as fast", counting: "as fast and counting", final: "as fast" };

/** `runs` are those of the race, in order; `nowMs` is the page's clock. */
export function Board({ runs, nowMs }) {
  return html`
    <div class="board">
      <div class="scores">
        ${runs.map((run) => html`<${Score} key=${run.mode} run=${run} nowMs=${nowMs} />`)}
      </div>
      <${Faster} runs=${runs} nowMs=${nowMs} />
    </div>
  `;
}

function Score({ run, nowMs }) {
  const sum = run.status === "idle" ? {} : totals(run);
  const isKnown = run.endS !== null;
  const elapsed = isKnown ? secondsNumber(run.endS) : elapsedS(run, nowMs).toFixed(1);
  const stats = [
    ["first text", seconds(run.firstTextS)],
    ["model calls", number(sum.modelCalls)],
    ["tools", number(sum.toolCalls)],
    ["tokens in", number(sum.tokensIn)],
    ["tokens out", number(sum.tokensOut)],
    ["cost", dollars(sum.costUsd)],
  ];
  return html`
    <section class="score ${run.status}" aria-label=${title(run.mode)}>
      <h3>${title(run.mode)} <${Status} run=${run} /></h3>
      <p class="elapsed"><span class="digits">${elapsed}</span><span class="unit">s</span></p>
      <dl>
        ${stats.map(
          ([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`,
        )}
      </dl>
    </section>
  `;
}

function Status({ run }) {
  const isDown = !run.isConnected && !isOver(run);
  const said = isDown ? "reconnecting…" : SAID[run.status];
  return html`<span class="status ${run.status}">${said}</span>`;
}

function Faster({ runs, nowMs }) {
  if (runs.length < 2) return null;
  const found = speedup(runs, nowMs);
  const state = !found ? "waiting" : found.isFinal ? "final" : "counting";
  return html`
    <p class="faster ${state}">
      <span class="digits">${times(found?.ratio)}</span>
      <span class="unit">${FASTER[state]}</span>
    </p>
  `;
}
