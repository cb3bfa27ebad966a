/** Is it still good: alerts in force, what people say, what checks and load tests found. */

import { html } from "./dom.js";
import { feedbackTotals, health, listResults } from "./api.js";
import { useAnswer } from "./asking.js";
import { moment, number, title, words } from "./format.js";
import { resultLines } from "./findings.js";
import { Table } from "./table.js";

/** `onError` hears what the server refuses. */
export function QualityPage({ app, onError }) {
  const [found, load] = useAnswer(() => look(app.name), {
    first: { results: [], totals: [], alerts: [] },
    onError,
  });
  return html`
    <div class="cache">
      <section class="panel" aria-labelledby="alerts-title">
        <header class="cache-head">
          <h2 id="alerts-title">Alerts</h2>
          <p class="tiers"></p>
          <button type="button" onClick=${load}>Refresh</button>
        </header>
        <${Alerts} alerts=${found.alerts} />
      </section>
      <section class="panel" aria-labelledby="said-title">
        <h2 id="said-title">What people say</h2>
        <${Said} totals=${found.totals} />
      </section>
      ${found.results.map((one) => html`<${Result} key=${one.result_id} result=${one} />`)}
      ${!found.results.length && html`<p class="quiet">Nothing was measured yet: hasten check.</p>`}
    </div>
  `;
}

async function look(name) {
  const asked = [listResults(name), feedbackTotals(name), health()];
  const [results, totals, { alerts }] = await Promise.all(asked);
  return { results, totals, alerts };
}

function Alerts({ alerts }) {
  if (!alerts.length) return html`<p class="quiet">None.</p>`;
  const heads = ["Application", "Figure", "Level", "Value", "Bound", "Runs", "Since"];
  return html`<${Table} heads=${heads}>
    ${alerts.map(
      (one) => html`
        <tr key=${one.app + one.figure + one.level}>
          <th scope="row">${one.app}</th>
          <td>${words(one.figure)}</td>
          <td>${one.level}</td>
          <td>${one.value.toPrecision(3)}</td>
          <td>${one.bound}</td>
          <td>${number(one.runs)}</td>
          <td>${moment(one.since_s)}</td>
        </tr>
      `,
    )}
  <//>`;
}

function Said({ totals }) {
  if (!totals.length) return html`<p class="quiet">Nothing yet.</p>`;
  const heads = ["Mode", "Answer", "Ratings", "Mean of 10", "Made anew"];
  return html`<${Table} heads=${heads}>
    ${totals.map(
      (one) => html`
        <tr key=${one.mode + one.is_cached}>
          <th scope="row">${one.mode}</th>
          <td>${one.is_cached ? "cached" : "fresh"}</td>
          <td>${number(one.ratings)}</td>
          <td>${one.mean_rating?.toFixed(1) ?? "–"}</td>
          <td>${number(one.regenerations)}</td>
        </tr>
      `,
    )}
  <//>`;
}

/** One check, experiment or load test, its figures below each other. */
function Result({ result }) {
  const id = `result-${result.result_id}`;
  const { heads, lines, note } = resultLines(result);
  return html`
    <section class="panel" aria-labelledby=${id}>
      <header class="cache-head">
        <h2 id=${id}>${title(result.kind)}: ${words(result.name)}</h2>
        <span class="quiet">${moment(result.at_s)}</span>
        <span class=${result.is_held ? "chip fresh" : "chip down"}>
          ${result.is_held ? "held" : "not held"}
        </span>
      </header>
      <${Table} heads=${heads}>
        ${lines.map(
          ([name, ...cells], place) => html`
            <tr key=${place}>
              <th scope="row" class="wide">${name}</th>
              ${cells.map((cell, column) => html`<td key=${column}>${cell}</td>`)}
            </tr>
          `,
        )}
      <//>
      ${note && html`<p class="quiet">${note}</p>`}
    </section>
  `;
}
