/** The races there were: one line each, a click shows it again. */

import { html } from "./dom.js";
import { moment, seconds, times, title } from "./format.js";
import { pairRuns } from "./state.js";

/** `runs` is the server's list, newest first; `shown` are the ids on the page. */
export function RecentRuns({ app, runs, shown, onOpen }) {
  const races = pairRuns(runs, app.modes);
  return html`
    <section class="recent" aria-labelledby="recent-title">
      <h2 id="recent-title">Recent runs</h2>
      ${!races.length && html`<p class="quiet">None yet.</p>`}
      <ol>
        ${races.map(
          (race) =>
            html`<${Line} key=${race[0].run_id} race=${race} shown=${shown} onOpen=${onOpen} />`,
        )}
      </ol>
    </section>
  `;
}

function Line({ race, shown, onOpen }) {
  const isShown = race.some((run) => shown.includes(run.run_id)) || undefined;
  const [first, last] = [race[0], race.at(-1)];
  const isWhole = race.every((run) => run.status === "complete" || run.status === "degraded");
  const odd = race.find((run) => run.status !== "complete")?.status;
  const took = race
    .map((run) => (run.status === "running" ? "…" : seconds(run.duration_s)))
    .join(" → ");
  return html`
    <li>
      <button type="button" aria-current=${isShown} onClick=${() => onOpen(race)}>
        <span class="when">${moment(first.started_s)}</span>
        <span class="what">${race.length > 1 ? took : `${title(first.mode)} ${took}`}</span>
        ${
          odd
            ? html`<span class="status ${odd}">${odd}</span>`
            : isWhole &&
              race.length > 1 &&
              html`<span class="ratio">${times(first.duration_s / last.duration_s)}</span>`
        }
      </button>
    </li>
  `;
}
