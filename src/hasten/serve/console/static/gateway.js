/** The gateway: its calls as they come, what they came to, its upstreams, how to get there. */

import { html, useCallback, useEffect, useMemo, useState } from "./dom.js";
import { gatewayCalls, gatewayFigures } from "./api.js";
import { exceptForbidden } from "./asking.js";
import { dollars, moment, number, seconds } from "./format.js";
import {
  brief,
  cents,
  histogram,
  hitRate,
  limitOf,
  modelsOf,
  RESULTS,
  snippets,
  stateOf,
} from "./latency.js";
import { Table } from "./table.js";

const LOOK_MS = 1000;
const SHOWN = 40;

/** `onError` hears what the server refuses, null when it is well again; a key may be waited for. */
export function GatewayPage({ isWaiting, onError }) {
  const [{ calls, figures }, setFound] = useState({ calls: [], figures: null });
  const [which, setWhich] = useState({});
  const [isLive, setIsLive] = useState(true);
  const load = useCallback(async () => {
    const asked = [gatewayCalls({ ...which, limit: SHOWN }), gatewayFigures().catch(exceptForbidden)];
    const [{ calls }, figures] = await Promise.all(asked);
    return { calls, figures };
  }, [which]);
  useLooking(load, setFound, { isLive, isWaiting, onError });
  return html`
    <div class="cache gateway">
      ${figures && html`<${Figures} figures=${figures} />`}
      <div class="pair">
        ${figures && html`<${Latency} figures=${figures} />`}
        <${Snippets} upstreams=${figures?.upstreams ?? []} />
      </div>
      ${figures && html`<${Upstreams} upstreams=${figures.upstreams} />`}
      <section class="panel" aria-labelledby="calls-title">
        <header class="cache-head">
          <h2 id="calls-title">Calls as they come</h2>
          <${Filters} which=${which} onChange=${setWhich} />
          <button type="button" aria-pressed=${!isLive} onClick=${() => setIsLive(!isLive)}>
            ${isLive ? "Hold" : "Go on"}
          </button>
        </header>
        <${Calls} calls=${calls} />
      </section>
    </div>
  `;
}

/**
 * Looks once, then again and again while the page is seen; a server that is gone may come back.
 * What comes after another question is dropped.
 */
function useLooking(load, take, { isLive, isWaiting, onError }) {
  useEffect(() => {
    if (isWaiting) return undefined;
    let timer = 0;
    let isOver = false;
    let hasFailed = false;
    const look = async () => {
      try {
        const found = document.hidden ? null : await load();
        if (isOver) return;
        if (found) take(found);
        if (hasFailed) onError(null);
        hasFailed = false;
      } catch (error) {
        if (isOver) return;
        hasFailed = true;
        onError(error);
      }
      if (isLive) timer = setTimeout(look, LOOK_MS);
    };
    look();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [load, isLive, isWaiting]);
}

function Figures({ figures }) {
  const { results, prompt_cache: prompt } = figures;
  const rate = hitRate(results);
  const calls = RESULTS.reduce((sum, name) => sum + (results[name]?.calls ?? 0), 0);
  const tiles = [
    ["Calls", number(calls), `since ${moment(figures.since_s)}`],
    ["Hit rate", rate === null ? "–" : `${(rate * 100).toFixed(1)} %`, "stored, or under way already"],
    ["Saved", dollars(figures.saved_usd), "by hits"],
    ["Time saved", seconds(figures.saved_s), "by hits, of their callers"],
    ["Spent", dollars(figures.cost_usd), "on upstreams"],
    [
      "Prompt cache",
      dollars(prompt.saved_usd),
      `the provider’s, saved; ${dollars(prompt.spent_usd)} to write it`,
    ],
  ];
  return html`
    <section class="panel" aria-label="Figures">
      <dl class="tiles">
        ${tiles.map(
          ([name, value, note]) => html`
            <div key=${name}>
              <dt>${name}</dt>
              <dd>${value}</dd>
              <dd class="quiet">${note}</dd>
            </div>
          `,
        )}
      </dl>
      ${
        figures.workers > 1 &&
        html`<p class="quiet">
          One of ${number(figures.workers)} workers (${figures.worker}): each counts its own calls.
        </p>`
      }
    </section>
  `;
}

const BAR_PX = 38;
const ROW_PX = 44;

/** How long calls took, a row of bars for each result on one scale of time. */
function Latency({ figures }) {
  const { marks, rows } = useMemo(
    () => histogram(figures.results, figures.buckets_s),
    [figures],
  );
  const width = marks.length * BAR_PX;
  const height = rows.length * ROW_PX;
  const said = rows.map((row) => `${row.result}: ${row.calls}, half in ${row.median}`).join("; ");
  return html`
    <section class="panel" aria-labelledby="latency-title">
      <h2 id="latency-title">How long calls took</h2>
      ${!rows.length && html`<p class="quiet">No calls yet.</p>`}
      ${
        rows.length > 0 &&
        html`
          <div class="latency">
            <ol>
              ${rows.map(
                (row) => html`<li key=${row.result}>
                  <span class="result ${row.result}">${row.result}</span>
                  <span class="quiet">${number(row.calls)} · half ${row.median}</span>
                </li>`,
              )}
            </ol>
            <svg width=${width} height=${height + 16} role="img" aria-label=${said}>
              ${rows.map(
                (row, place) => html`<${Bars} key=${row.result} ...${{ row, place, width }} />`,
              )}
              ${marks.map(
                (mark, place) => html`<text
                  key=${place}
                  x=${(place + 0.5) * BAR_PX}
                  y=${height + 13}
                  text-anchor="middle"
                >
                  ${mark ?? "more"}
                </text>`,
              )}
            </svg>
          </div>
        `
      }
    </section>
  `;
}

function Bars({ row, place, width }) {
  const ground = (place + 1) * ROW_PX;
  return html`
    <g class="result ${row.result}">
      <line x1="0" x2=${width} y1=${ground} y2=${ground} />
      ${row.bars.map(({ count, share, label }, column) => {
        const tall = count ? Math.max(share * (ROW_PX - 10), 1.5) : 0;
        return html`
          <rect
            key=${column}
            x=${column * BAR_PX + 2}
            y=${ground - tall}
            width=${BAR_PX - 4}
            height=${tall}
          >
            <title>${label}</title>
          </rect>
        `;
      })}
    </g>
  `;
}

function Snippets({ upstreams }) {
  const all = snippets(location.origin, modelsOf(upstreams));
  const [name, setName] = useState(all[0].name);
  const [said, setSaid] = useState("");
  const { text } = all.find((one) => one.name === name);
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => setSaid("Copied"),
      () => setSaid("The browser refused to copy"),
    );
  return html`
    <section class="panel" aria-labelledby="point-title">
      <header class="cache-head">
        <h2 id="point-title">Point a client here</h2>
        ${all.map(
          (one) => html`
            <button
              key=${one.name}
              type="button"
              class="plain"
              aria-pressed=${one.name === name}
              onClick=${() => {
                setName(one.name);
                setSaid("");
              }}
            >
              ${one.name}
            </button>
          `,
        )}
        <button type="button" onClick=${copy}>Copy</button>
        <span class="quiet" role="status">${said}</span>
      </header>
      <pre class="snippet" tabindex="0">${text}</pre>
    </section>
  `;
}

function Upstreams({ upstreams }) {
  const heads = ["Upstream", "Protocol", "Address", "Models", "State", "Limit", "Key in use", "Calls"];
  return html`
    <section class="panel" aria-labelledby="upstreams-title">
      <h2 id="upstreams-title">Upstreams</h2>
      <${Table} heads=${heads}>
        ${upstreams.map(
          (one) => html`
            <tr key=${one.name}>
              <th scope="row">${one.name}</th>
              <td>${one.protocol}</td>
              <td>${one.base_url || "here"}</td>
              <td>${one.models.join(", ") || "any"}</td>
              <td><span class="chip ${one.rests_s > 0 ? "down" : "fresh"}">${stateOf(one)}</span></td>
              <td>${limitOf(one.limit)}</td>
              <td>${one.key || "none"}</td>
              <td>${statuses(one.calls)}</td>
            </tr>
          `,
        )}
      <//>
    </section>
  `;
}

const statuses = (calls) =>
  Object.entries(calls)
    .map(([status, count]) => `${status}: ${number(count)}`)
    .join(", ") || "none yet";

function Filters({ which, onChange }) {
  const set = (name) => (event) => {
    const { [name]: _, ...rest } = which;
    onChange(event.target.value ? { ...rest, [name]: event.target.value } : rest);
  };
  return html`
    <select aria-label="Result" value=${which.result ?? ""} onChange=${set("result")}>
      <option value="">every result</option>
      ${RESULTS.map((one) => html`<option key=${one} value=${one}>${one}</option>`)}
    </select>
    <input
      aria-label="Model"
      placeholder="every model; gpt-*"
      value=${which.model ?? ""}
      onChange=${set("model")}
    />
  `;
}

function Calls({ calls }) {
  if (!calls.length) return html`<p class="quiet">None yet: point a client here.</p>`;
  const heads = ["When", "Result", "Model", "Route", "Took", "Cost", "Saved", "Tokens", "Who", "Status"];
  return html`<${Table} heads=${heads}>
    ${calls.map(
      (call) => html`
        <tr key=${call.at_s + call.user + call.model}>
          <th scope="row">${moment(call.at_s)}</th>
          <td><span class="result ${call.result}">${call.result}</span></td>
          <td>${call.model || "–"}</td>
          <td>${call.route}${call.is_stream ? ", streamed" : ""}</td>
          <td>${brief(call.took_s)}</td>
          <td>${call.cost_usd ? cents(call.cost_usd) : "–"}</td>
          <td>${savedBy(call)}</td>
          <td>${tokensOf(call)}</td>
          <td>${call.user || "nobody known"}</td>
          <td>${call.status}</td>
        </tr>
      `,
    )}
  <//>`;
}

const savedBy = (call) =>
  call.saved_s || call.saved_usd ? `${cents(call.saved_usd)}, ${brief(call.saved_s)}` : "–";

function tokensOf(call) {
  if (!call.tokens_in && !call.tokens_out) return "–";
  const cached = call.cached_tokens_in ? ` (${number(call.cached_tokens_in)} cached)` : "";
  return `${number(call.tokens_in)}${cached} → ${number(call.tokens_out)}`;
}
