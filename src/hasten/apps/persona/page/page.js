/**
 * The personas' page: choose one, read its details as they come, set some side by side.
 *
 * Owns what is shown. Leaves connections to the console's client.
 */

import { client, getJson, postJson, readAll } from "/console/api.js";
import { html, useEffect, useRef, useState } from "/console/dom.js";

const HOME = "/apps/persona";
const MOST = 5;
const STAGES = {
  awareness: "Awareness",
  consideration: "Consideration",
  decision: "Decision",
  post_purchase: "Post-Purchase",
};

export default function Personas({ onError }) {
  const [personas, setPersonas] = useState([]);
  const [picked, setPicked] = useState(new Set());
  const { shown, open, compare } = useDetails(onError);

  useEffect(() => {
    getJson(`${HOME}/personas`).then((found) => {
      setPersonas(found);
      if (found.length) open(found[0]);
    }, onError);
  }, []);

  const pick = (id) => {
    const next = new Set(picked);
    if (!next.delete(id) && next.size < MOST) next.add(id);
    setPicked(next);
  };
  return html`<div class="personas">
    <nav aria-label="Personas">
      <ul>
        ${personas.map(
          (one) => html`<li class=${shown.ids.includes(one.persona_id) ? "shown" : ""}>
            <input type="checkbox" aria-label=${`Compare ${one.full_name}`}
              checked=${picked.has(one.persona_id)} onChange=${() => pick(one.persona_id)} />
            <button type="button" onClick=${() => open(one)}>
              <b>${one.full_name}</b> ${one.age}, ${one.occupation}
            </button>
          </li>`,
        )}
      </ul>
      <button type="button" class="compare" disabled=${picked.size < 2}
        onClick=${() => compare([...picked])}>
        ${picked.size < 2 ? "Tick two to compare" : `Compare ${picked.size}`}
      </button>
    </nav>
    <div>
      <div class="sheets">
        ${shown.ids.map((id) => {
          const persona = personas.find((one) => one.persona_id === id);
          return html`<${Sheet} persona=${persona} told=${shown.told[id] ?? {}}
            failed=${shown.failed[id]} onOpen=${open} isAlone=${shown.ids.length === 1} />`;
        })}
      </div>
      <p class="made" aria-live="polite">${madeIn(shown)}</p>
    </div>
  </div>`;
}

function Sheet({ persona, told, failed, onOpen, isAlone }) {
  if (!persona) return null;
  return html`<article>
    <h2>${persona.full_name}</h2>
    <p class="who">
      ${persona.age}, ${persona.occupation}, ${persona.location} · version ${persona.version}
    </p>
    ${failed && html`<p class="note bad">${failed}</p>`}
    <${Kpi} kpi=${told.kpi} />
    <${Part} title="Customer journey" value=${told.journey}>
      <ol class="journey">
        ${Object.entries(told.journey ?? {}).map(
          ([name, stage]) => html`<li>
            <h4>${STAGES[name]}</h4>
            <dl>
              <dt>Goal</dt><dd>${stage.goal}</dd>
              <dt>Where</dt><dd>${stage.touchpoints}</dd>
              <dt>Feels</dt><dd>${stage.feeling}</dd>
              <dt>We should</dt><dd>${stage.opportunity}</dd>
            </dl>
          </li>`,
        )}
      </ol>
    <//>
    <${Part} title="Jobs, needs and pains" value=${told.needs}>
      <ul>
        ${told.needs?.jobs.map(
          (job) => html`<li><b>When</b> ${job.when} <b>I want</b> ${job.wants} <b>so that</b>
            ${" "}${job.so_that}</li>`,
        )}
        ${told.needs?.pains.map(
          (pain) => html`<li><span class="severity">${"●".repeat(pain.severity)}</span>
            ${" "}${pain.pain} <i>Relief: ${pain.relief}</i></li>`,
        )}
      </ul>
    <//>
    <${Part} title="How to speak to them" value=${told.messaging}>
      <p class="promise">${told.messaging?.promise}</p>
      <ul>${told.messaging?.headlines.map((one) => html`<li>“${one}”</li>`)}</ul>
      <p>${told.messaging?.tone} ${told.messaging?.channels}</p>
      <blockquote>${told.messaging?.email}</blockquote>
    <//>
    ${isAlone && html`<${Alike} persona=${persona} onOpen=${onOpen} />`}
  </article>`;
}

function Part({ title, value, children }) {
  return html`<section aria-busy=${!value}>
    <h3>${title}</h3>
    ${value ? children : html`<p class="waiting">…</p>`}
  </section>`;
}

function Kpi({ kpi }) {
  const tiles = [
    ["Segment", kpi?.segment_size.toLocaleString("en")],
    ["Conversion", kpi && `${kpi.conversion_rate_percent} %`],
    ["Order", kpi && `$${kpi.average_order_usd}`],
    ["Stay a year", kpi && `${kpi.retention_12m_percent} %`],
    ["Satisfaction", kpi && `${kpi.satisfaction} / 10`],
  ];
  return html`<dl class="kpi">
    ${tiles.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value ?? "…"}</dd></div>`)}
  </dl>`;
}

function Alike({ persona, onOpen }) {
  const [alike, setAlike] = useState([]);
  useEffect(() => {
    setAlike([]);
    getJson(`${HOME}/personas/${persona.persona_id}/similar?limit=4`).then(setAlike, () => {});
  }, [persona.persona_id]);
  return html`<section>
    <h3>Most alike</h3>
    <ul class="alike">
      ${alike.map(
        (one) => html`<li>
          <button type="button" onClick=${() => onOpen(one.persona)}>
            ${one.persona.full_name} <small>${Math.round(one.similarity * 100)} %</small>
          </button>
        </li>`,
      )}
    </ul>
  </section>`;
}

function madeIn({ tookMs, reused, error }) {
  if (error) return error;
  if (tookMs === null) return "Working …";
  const took = `${(tookMs / 1000).toFixed(tookMs < 1000 ? 3 : 1)} s`;
  return reused ? `In ${took}, ${reused} of the parts from the cache` : `Written in ${took}`;
}

const NOTHING = { ids: [], told: {}, failed: {}, tookMs: null, reused: 0, error: "" };

/** The details shown, and how to open one persona or compare several. */
function useDetails(onError) {
  const [shown, setShown] = useState(NOTHING);
  const stop = useRef(new AbortController());
  useEffect(() => () => stop.current.abort(), []);

  const watch = async (ids, messagesOf, take) => {
    stop.current.abort();
    const { signal } = (stop.current = new AbortController());
    const beganMs = performance.now();
    setShown({ ...NOTHING, ids });
    try {
      await readAll(await messagesOf(signal), (message) =>
        setShown((before) => take(before, message)),
      );
      const tookMs = performance.now() - beganMs;
      if (!signal.aborted) setShown((before) => ({ ...before, tookMs }));
    } catch (error) {
      if (signal.aborted) return;
      setShown(NOTHING);
      onError(error);
    }
  };
  return {
    shown,
    open: ({ persona_id: id }) =>
      watch(
        [id],
        async (signal) => {
          const { run_id: runId } = await postJson(`${HOME}/personas/${id}/details`, {});
          return client.follow(runId, { signal });
        },
        (before, message) => taken(before, message, (data) => ({ [id]: data })),
      ),
    compare: (ids) =>
      watch(
        ids,
        (signal) =>
          client.start(
            { app: "persona.compare", inputs: { persona_ids: ids } },
            { signal, reuse: true },
          ),
        (before, message) =>
          taken(before, message, ({ comparison }) => comparison?.personas ?? {}, ({ comparison }) =>
            comparison?.failed ?? {},
          ),
      ),
  };
}

/** Takes one message; `byId` finds the details in an output, `failedIn` what is missing. */
function taken(shown, { event, data }, byId, failedIn = () => ({})) {
  if (event === "span" && data.attributes?.cache_hit && data.kind !== "cache")
    return { ...shown, reused: shown.reused + 1 };
  if (data.complete && data.error) return { ...shown, error: data.error.message };
  if (!data.data) return shown;
  const told = { ...shown.told };
  for (const [id, found] of Object.entries(byId(data.data)))
    told[id] = { ...told[id], ...(found ?? {}) };
  return { ...shown, told, failed: { ...shown.failed, ...failedIn(data.data) } };
}
