/** The cache: what it did per use, what it holds, why a call hits or misses, dropping. */

import { html, useState } from "./dom.js";
import { cacheEntries, cacheStats, explainRun, invalidate } from "./api.js";
import { exceptForbidden, useAnswer } from "./asking.js";
import { dollars, number, seconds } from "./format.js";
import { age, reusedShare, SELECTORS, shares, size } from "./reuse.js";
import { inputsOf } from "./schema.js";
import { Table } from "./table.js";

const PAGE = 50;

/** `app` and `form` are those of the race; `onError` hears what the server refuses. */
export function CachePage({ app, form, onError }) {
  const [where, setWhere] = useState({ use: "", offset: 0 });
  const [stats, askStats] = useAnswer(() => cacheStats().catch(exceptForbidden), { onError });
  const [listed, askEntries] = useAnswer(() => cacheEntries({ ...where, limit: PAGE }), {
    first: { total: 0, entries: [] },
    question: where,
    onError,
  });
  const load = () => {
    askStats();
    askEntries();
  };
  return html`
    <div class="cache">
      <section class="panel" aria-labelledby="uses-title">
        <header class="cache-head">
          <h2 id="uses-title">Reuse since the server started</h2>
          <${Tiers} tiers=${stats?.tiers ?? []} />
          <button type="button" onClick=${load}>Refresh</button>
        </header>
        <${Uses} uses=${stats?.uses ?? []} />
      </section>
      <${Explain} app=${app} form=${form} onError=${onError} />
      <${Drop} onDone=${load} onError=${onError} />
      <section class="panel" aria-labelledby="entries-title">
        <header class="cache-head">
          <h2 id="entries-title">Entries <span class="quiet">${number(listed.total)}</span></h2>
          <${UseFilter} stats=${stats} where=${where} onChange=${setWhere} />
          <${Pages} where=${where} total=${listed.total} onChange=${setWhere} />
        </header>
        <${Entries} entries=${listed.entries} />
      </section>
    </div>
  `;
}

const Tiers = ({ tiers }) => html`
  <p class="tiers">
    ${tiers.map(
      ({ tier, is_available: isUp }) =>
        html`<span key=${tier} class="chip ${isUp ? "fresh" : "down"}">
          ${tier}: ${isUp ? "available" : "gone"}
        </span>`,
    )}
  </p>
`;

function Uses({ uses }) {
  if (!uses.length) return html`<p class="quiet">Nothing was asked of it yet.</p>`;
  const heads = ["Use", "Reused", "Hits", "Stale", "Collapsed", "Misses", "Saved", ""];
  return html`<${Table} heads=${heads}>
    ${uses.map(
      (use) => html`
        <tr key=${use.use}>
          <th scope="row">${use.use}</th>
          <td class="wide"><${Bar} use=${use} /></td>
          <td>${number(use.hits)}</td>
          <td>${number(use.stale)}</td>
          <td>${number(use.collapsed)}</td>
          <td>${number(use.misses)}</td>
          <td>${seconds(use.saved_s)}</td>
          <td>${dollars(use.saved_usd)}</td>
        </tr>
      `,
    )}
  <//>`;
}

/** How a use's calls divide, as one bar; the page's policy allows no inline style, so SVG. */
function Bar({ use }) {
  let from = 0;
  const parts = shares(use).map((one) => {
    const drawn = { ...one, x: from * 100 };
    from += one.share;
    return drawn;
  });
  const percent = `${Math.round(reusedShare(use) * 100)} %`;
  return html`
    <span class="share">
      <svg viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label="${percent} reused">
        ${parts.map(
          ({ part, x, share }) =>
            html`<rect key=${part} class=${part} x=${x} width=${share * 100} height="8" />`,
        )}
      </svg>
      ${percent}
    </span>
  `;
}

function Entries({ entries }) {
  if (!entries.length) return html`<p class="quiet">None.</p>`;
  const heads = ["Entry", "Use", "Whose", "Tiers", "Age", "Expires in", "Hits", "Size"];
  return html`<${Table} heads=${heads}>
    ${entries.map(
      (one) => html`
        <tr key=${one.key}>
          <th scope="row" class="wide" title=${one.key}>${one.label}</th>
          <td>${one.use}</td>
          <td>${one.user || one.scope}</td>
          <td>${one.tiers.join(", ")}</td>
          <td>${age(one.age_s)}</td>
          <td>${one.expires_s == null ? "never" : age(Math.max(0, restS(one)))}</td>
          <td>${number(one.hits)}</td>
          <td>${size(one.size_bytes)}</td>
        </tr>
      `,
    )}
  <//>`;
}

const restS = (entry) => entry.expires_s - entry.created_s - entry.age_s;

function UseFilter({ stats, where, onChange }) {
  const uses = (stats?.uses ?? []).map((one) => one.use);
  const choose = (event) => onChange({ use: event.target.value, offset: 0 });
  return html`
    <select aria-label="Use" value=${where.use} onChange=${choose}>
      <option value="">Every use</option>
      ${uses.map((use) => html`<option key=${use} value=${use}>${use}</option>`)}
    </select>
  `;
}

function Pages({ where, total, onChange }) {
  if (total <= PAGE) return null;
  const go = (by) => () => onChange({ ...where, offset: where.offset + by });
  const isLast = where.offset + PAGE >= total;
  return html`
    <button type="button" disabled=${!where.offset} onClick=${go(-PAGE)}>Newer</button>
    <button type="button" disabled=${isLast} onClick=${go(PAGE)}>Older</button>
  `;
}

/** What a run of the form's inputs would get, and what comes near. */
function Explain({ app, form, onError }) {
  const [told, setTold] = useState(null);
  const ask = () =>
    explainRun({ app: app.name, inputs: inputsOf(app.inputs, form.values) }).then(setTold, onError);
  return html`
    <section class="panel" aria-labelledby="explain-title">
      <header class="cache-head">
        <h2 id="explain-title">The whole answer to the form’s inputs</h2>
        <button type="button" onClick=${ask}>Explain</button>
      </header>
      ${told && html`<p role="status" class="told">${told.reason}</p>`}
      ${told?.near.map(
        (near) => html`
          <p key=${near.label} class="quiet">
            ${age(near.age_s)} old, differs in
            ${near.differences.map((one) => ` ${one.part} (${one.stored})`).join(",")}
          </p>
        `,
      )}
    </section>
  `;
}

/** Dropping, always seen before it is done. */
function Drop({ onDone, onError }) {
  const [kind, setKind] = useState("tag");
  const [word, setWord] = useState("");
  const [would, setWould] = useState(null);
  const forget = (set) => (event) => {
    set(event.target.value);
    setWould(null);
  };
  const preview = (event) => {
    event.preventDefault();
    invalidate({ [kind]: word, dry_run: true }).then(setWould, onError);
  };
  const drop = () =>
    invalidate({ [kind]: word }).then(() => {
      setWould(null);
      onDone();
    }, onError);
  return html`
    <section class="panel" aria-labelledby="drop-title">
      <form class="cache-head" onSubmit=${preview}>
        <h2 id="drop-title">Invalidate</h2>
        <select aria-label="Drop by" value=${kind} onChange=${forget(setKind)}>
          ${Object.keys(SELECTORS).map((one) => html`<option key=${one}>${one}</option>`)}
        </select>
        <input
          aria-label="What to drop"
          value=${word}
          placeholder=${SELECTORS[kind]}
          onInput=${forget(setWord)}
          required
        />
        <button>Preview</button>
        ${
          would?.entries.length > 0 &&
          html`<button type="button" class="cancel" onClick=${drop}>
            Drop ${number(would.entries.length)}
          </button>`
        }
      </form>
      ${would && html`<pre class="tree">${would.tree.join("\n") || "Nothing would go."}</pre>`}
    </section>
  `;
}
