/** A race on the page: its board, its waterfalls on one axis, the same in figures. */

import { html, useEffect, useState } from "./dom.js";
import { Board } from "./board.js";
import { title, words } from "./format.js";
import { axisEndS, ticksOf } from "./lanes.js";
import { elapsedS, isOver } from "./state.js";
import { Axis, SpanTable, usePlans, useWidth, Waterfall } from "./waterfall.js";

const CALM_MS = 500;
const LANE_LEAST_PX = 12;
const LANE_MOST_PX = 20;
const AROUND_PX = 304; // header, board, track headings, axis
const GROUP_PX = 7; // what a group needs besides its lanes

/** The page's clock, moving while `isLive`: each frame, or twice a second in reduced motion. */
function useNow(isLive) {
  const [nowMs, setNowMs] = useState(() => performance.now());
  useEffect(() => {
    if (!isLive) return undefined;
    const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    let next = 0;
    const tick = () => {
      setNowMs(performance.now());
      next = isCalm ? setTimeout(tick, CALM_MS) : requestAnimationFrame(tick);
    };
    tick();
    return () => (isCalm ? clearTimeout(next) : cancelAnimationFrame(next));
  }, [isLive]);
  return nowMs;
}

/** `runs` are those of the race, in order. */
export function Race({ app, runs }) {
  const isLive = runs.some((run) => !isOver(run));
  const nowMs = useNow(isLive);
  const [ref, widthPx] = useWidth();
  const endS = axisEndS(Math.max(0, ...runs.map((run) => elapsedS(run, nowMs))), isLive);
  const axis = {
    scale: (valueS) => (valueS / endS) * widthPx,
    ticks: ticksOf(endS, widthPx),
    widthPx,
  };
  const plans = usePlans(runs, { phases: app.phases, nowMs, endS, widthPx });
  const unit = runs.some((run) => run.isSimulated) ? "simulated s" : "seconds";
  const lanePx = useLaneHeight(plans);
  return html`
    <section class="panel race" aria-label="Race">
      <${Board} runs=${runs} nowMs=${nowMs} />
      <div class="tracks">
        <div class="group measure" aria-hidden="true">
          <span class="group-title"></span>
          <div ref=${ref}></div>
        </div>
        ${plans.map(
          (plan, place) => html`
            <div class="track" key=${plan.run.mode}>
              <header>
                <h3>${title(plan.run.mode)}</h3>
                <span class="quiet">${doing(plan.run)}</span>
                ${place === 0 && html`<${Legend} />`}
              </header>
              <${Waterfall} plan=${plan} axis=${axis} lanePx=${lanePx} />
            </div>
          `,
        )}
        ${runs.every((run) => run.status === "idle") && html`<${Invitation} app=${app} />`}
        <${Axis} axis=${axis} unit=${unit} />
      </div>
      <${SpanTable} runs=${runs} phases=${app.phases} />
    </section>
  `;
}

/** What the page says before anything has run. */
function Invitation({ app }) {
  const [first, last] = [app.modes[0], app.modes.at(-1)].map(title);
  const latencies = app.simulated ? " and the same simulated latencies" : "";
  return html`
    <p class="invitation">
      ${
        app.modes.length > 1 &&
        html`<b>Run</b> starts ${first} and ${last} at once, on the same inputs${latencies}. `
      }
      Every call of a tool or a model becomes a bar, when it happens; the report appears below as it
      is written.
    </p>
  `;
}

/** What a run is at, and how long it will take if past runs say so. */
function doing(run) {
  if (isOver(run))
    return run.status === "degraded"
      ? `went on without ${run.degraded.map(({ step }) => words(step)).join(", ")}`
      : "";
  const left = run.remainingMs === null ? "" : `about ${Math.ceil(run.remainingMs / 1000)} s left`;
  return [words(run.step), left].filter(Boolean).join(" · ");
}

/** Lanes as high as the first screen allows, so that a whole race is seen at once. */
function useLaneHeight(plans) {
  const [screenPx, setScreenPx] = useState(innerHeight);
  useEffect(() => {
    const onResize = () => setScreenPx(innerHeight);
    addEventListener("resize", onResize);
    return () => removeEventListener("resize", onResize);
  }, []);
  const groups = plans.flatMap((plan) => plan.groups);
  const lanes = groups.reduce((sum, group) => sum + group.lanes, 0);
  const leftPx = screenPx - AROUND_PX - groups.length * GROUP_PX;
  return Math.max(LANE_LEAST_PX, Math.min(LANE_MOST_PX, Math.floor(leftPx / Math.max(lanes, 1))));
}

function Legend() {
  return html`
    <ul class="legend" aria-label="Colours">
      <li><i class="key model"></i>model</li>
      <li><i class="key tool"></i>tool</li>
      <li><i class="key step"></i>step</li>
      <li><i class="key critical"></i>full colour: on the critical path</li>
    </ul>
  `;
}
