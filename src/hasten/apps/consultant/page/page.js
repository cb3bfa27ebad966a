/**
 * The consultant's page: choose a company and frameworks, read the analysis as it is written,
 * open past ones by chapter, talk about it, see a forecast and what moved.
 *
 * Owns what is shown. Leaves connections to the console's client.
 */

import { client, getJson, postJson, readAll } from "/console/api.js";
import { html, useEffect, useRef, useState } from "/console/dom.js";

const HOME = "/apps/consultant";
const FRAMEWORKS = {
  porter: "Porter",
  swot: "SWOT",
  pestel: "PESTEL",
  blue_ocean: "Blue Ocean",
  value_chain: "Value chain",
};
const EXPORTS = { pdf: "PDF", xlsx: "Excel", md: "Markdown", json: "JSON" };
const NOTHING = { company: "", id: "", chapters: [], texts: {}, note: "", isPast: false };

export default function Consultant({ onError }) {
  const [companies, setCompanies] = useState([]);
  const [outline, setOutline] = useState([]);
  const [past, setPast] = useState([]);
  const [alerts, setAlerts] = useState([]);
  const [company, setCompany] = useState("ledgerleaf");
  const [picked, setPicked] = useState(new Set(["porter", "swot"]));
  const { shown, analyse, reopen, load } = useAnalysis(outline, onError);

  useEffect(() => {
    getJson(`${HOME}/companies`).then(setCompanies, onError);
    getJson(`${HOME}/chapters`).then(setOutline, onError);
    getJson(`${HOME}/alerts`).then(setAlerts, onError);
  }, []);
  useEffect(() => {
    getJson(`${HOME}/analyses`).then(setPast, onError);
  }, [shown.id]);

  const pick = (name) => {
    const next = new Set(picked);
    if (!next.delete(name)) next.add(name);
    setPicked(next);
  };
  const named = (id) => companies.find((one) => one.id === id)?.name ?? id;
  return html`<div class="consultant">
    <nav aria-label="Analyses">
      <form onSubmit=${(event) => {
        event.preventDefault();
        analyse(company, [...picked]);
      }}>
        <label>Company
          <select value=${company} onChange=${(event) => setCompany(event.target.value)}>
            ${companies.map(
              (one) => html`<option value=${one.id}>${one.name} · ${one.industry}</option>`,
            )}
          </select>
        </label>
        <fieldset>
          <legend>Frameworks</legend>
          ${Object.entries(FRAMEWORKS).map(
            ([name, title]) => html`<label class="tick">
              <input type="checkbox" checked=${picked.has(name)} onChange=${() => pick(name)} />
              ${title}
            </label>`,
          )}
        </fieldset>
        <button type="submit" disabled=${!picked.size}>Analyse</button>
      </form>
      ${alerts.length > 0 && html`<h3>What moved</h3>
        <ul>${alerts.map((one) => html`<li>${named(one.company)}: ${one.text}</li>`)}</ul>`}
      <h3>Past analyses</h3>
      ${past.length ? null : html`<p class="quiet">None yet.</p>`}
      <ul class="past">
        ${past.map(
          (one) => html`<li class=${one.analysis_id === shown.id ? "shown" : ""}>
            <button type="button" onClick=${() => reopen(one)}>
              <b>${one.company_name}</b>
              <small>
                ${one.frameworks.map((name) => FRAMEWORKS[name]).join(", ")} ·
                ${" "}${new Date(one.created_at_s * 1000).toLocaleString()}
              </small>
            </button>
          </li>`,
        )}
      </ul>
    </nav>
    <div>
      ${shown.company
        ? html`<${Analysis} shown=${shown} name=${named(shown.company)} load=${load} />
            ${shown.id && html`<${Talk} id=${shown.id} onError=${onError} />`}
            ${shown.id && html`<${Forecast} company=${shown.company} onError=${onError} />`}`
        : html`<p class="quiet">Choose a company and up to five frameworks.</p>`}
    </div>
  </div>`;
}

function Analysis({ shown, name, load }) {
  return html`<article>
    <header>
      <h2>${name}</h2>
      <p class="quiet" aria-live="polite">${shown.note}</p>
      ${shown.id && html`<p class="files">
        ${Object.entries(EXPORTS).map(
          ([form, title]) => html`<a href=${`${HOME}/analyses/${shown.id}/export?format=${form}`}
            download>${title}</a>`,
        )}
      </p>`}
    </header>
    ${shown.chapters.map((chapter) => {
      const isThere = chapter.sections.some((title) => shown.texts[title]);
      return html`<section aria-busy=${!isThere && !shown.isPast}>
        <h3>${chapter.title}</h3>
        ${!isThere && shown.isPast && html`<button type="button"
          onClick=${() => load(chapter.name)}>Show</button>`}
        <div class="parts">
          ${chapter.sections
            .filter((title) => shown.texts[title])
            .map(
              (title) => html`<div>
                <h4>${title}</h4>
                ${paragraphs(shown.texts[title]).map((one) => html`<p>${one}</p>`)}
              </div>`,
            )}
        </div>
      </section>`;
    })}
  </article>`;
}

function Talk({ id, onError }) {
  const [said, setSaid] = useState([]);
  const [question, setQuestion] = useState("");
  const [isBusy, setBusy] = useState(false);
  const talk = `about-${id}`;
  useEffect(() => {
    getJson(`${HOME}/conversational/${talk}`).then(setSaid, onError);
  }, [id]);

  const ask = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      const body = { message: question, conversation_id: talk, analysis_id: id };
      await postJson(`${HOME}/conversational/chat`, body);
      setSaid(await getJson(`${HOME}/conversational/${talk}`));
      setQuestion("");
    } catch (error) {
      onError(error);
    } finally {
      setBusy(false);
    }
  };
  return html`<article>
    <h3>Talk about it</h3>
    ${said.map(
      (one) => html`<div class="said">
        <b>${one.said_by}</b> ${one.text}
        ${Object.values(one.cites).length > 0 && html`<small class="quiet">
          From ${Object.values(one.cites).join(" · ")}</small>`}
      </div>`,
    )}
    <form class="ask" onSubmit=${ask}>
      <input required maxlength="2000" aria-label="Your question" value=${question}
        placeholder="Who are its rivals?" onInput=${(event) => setQuestion(event.target.value)} />
      <button type="submit" disabled=${isBusy}>${isBusy ? "…" : "Ask"}</button>
    </form>
  </article>`;
}

function Forecast({ company, onError }) {
  const [told, setTold] = useState(null);
  const [isBusy, setBusy] = useState(false);
  useEffect(() => setTold(null), [company]);
  const forecast = async () => {
    setBusy(true);
    try {
      setTold(await postJson(`${HOME}/forecasting/generate`, { company, years: 5 }));
    } catch (error) {
      onError(error);
    } finally {
      setBusy(false);
    }
  };
  return html`<article>
    <h3>Revenue, five years ahead</h3>
    ${told
      ? html`<${Chart} projection=${told.projection} />
          <div class="parts">
            ${Object.entries(told.scenarios.sections).map(
              ([title, text]) => html`<div><h4>${title}</h4><p>${text}</p></div>`,
            )}
          </div>`
      : html`<button type="button" disabled=${isBusy} onClick=${forecast}>
          ${isBusy ? "Working …" : "Forecast"}
        </button>`}
  </article>`;
}

function Chart({ projection }) {
  const { past, ahead, first_year: first, confidence, form } = projection;
  const [width, height] = [640, 170];
  const years = past.length + ahead.length;
  const top = 1.05 * Math.max(...past, ...ahead.map((one) => one.high));
  const bottom = Math.min(0, ...past, ...ahead.map((one) => one.low));
  const x = (place) => 10 + (place * (width - 20)) / (years - 1);
  const y = (value) => height - 20 - ((value - bottom) / (top - bottom)) * (height - 30);
  const line = (values, from) => values.map((one, at) => `${x(from + at)},${y(one)}`).join(" ");
  const next = past.length;
  const likely = [past[next - 1], ...ahead.map((one) => one.likely)];
  const band = `${line(ahead.map((one) => one.high), next)} ${ahead
    .map((one, at) => `${x(next + at)},${y(one.low)}`)
    .reverse()
    .join(" ")}`;
  const last = ahead[ahead.length - 1];
  return html`<figure>
    <svg viewBox="0 0 ${width} ${height}" role="img" aria-label="Past and projected revenue">
      <polygon class="band" points=${band} />
      <polyline class="past" points=${line(past, 0)} />
      <polyline class="likely" points=${line(likely, next - 1)} />
      <text x=${x(0)} y=${height - 4}>${first}</text>
      <text x=${x(years - 1)} y=${height - 4} text-anchor="end">${last.year}</text>
    </svg>
    <figcaption class="quiet">
      ${last.year}: ${last.likely} m USD, ${Math.round(100 * confidence)} % between ${last.low} and
      ${" "}${last.high} (${form})
    </figcaption>
  </figure>`;
}

/** The analysis shown: made now, its text as it is written, or a past one, by chapter. */
function useAnalysis(outline, onError) {
  const [shown, setShown] = useState(NOTHING);
  const stop = useRef(new AbortController());
  useEffect(() => () => stop.current.abort(), []);
  const chaptersOf = (names) =>
    outline.filter((one) => !(one.name in FRAMEWORKS) || names.includes(one.name));

  const analyse = async (company, frameworks) => {
    stop.current.abort();
    const { signal } = (stop.current = new AbortController());
    const beganMs = performance.now();
    setShown({ ...NOTHING, company, chapters: chaptersOf(frameworks), note: "Working …" });
    try {
      const asked = { app: "consultant", inputs: { company, frameworks } };
      const messages = await client.start(asked, { signal, reuse: true });
      await readAll(messages, (message) => setShown((before) => taken(before, message)));
      const tookMs = performance.now() - beganMs;
      if (!signal.aborted) setShown((before) => ({ ...before, note: madeIn(before, tookMs) }));
    } catch (error) {
      if (signal.aborted) return;
      setShown(NOTHING);
      onError(error);
    }
  };
  const load = async (id, chapter) => {
    try {
      const found = await getJson(`${HOME}/analyses/${id}/sections?chapter=${chapter}`);
      const texts = Object.fromEntries(found.map((one) => [one.title, one.text]));
      setShown((before) =>
        before.id === id ? { ...before, texts: { ...before.texts, ...texts } } : before,
      );
    } catch (error) {
      onError(error);
    }
  };
  const reopen = (one) => {
    stop.current.abort();
    const chapters = chaptersOf(one.frameworks);
    const note = one.missing.length ? `Without ${one.missing.join(", ")}` : "From your analyses";
    setShown({ ...NOTHING, company: one.company, id: one.analysis_id, chapters, note, isPast: true });
    load(one.analysis_id, "synthesis");
  };
  return { shown, analyse, reopen, load: (chapter) => load(shown.id, chapter) };
}

function taken(shown, { event, data }) {
  if (event === "text" || event === "text.replaced") {
    const before = event === "text" ? (shown.texts[data.section] ?? "") : "";
    return { ...shown, texts: { ...shown.texts, [data.section]: before + data.text } };
  }
  if (data.complete && data.error) return { ...shown, note: data.error.message };
  if (!data.data) return shown;
  const { analysis_id: id = shown.id, views = {}, ...rest } = data.data;
  const found = [...Object.values(rest), ...Object.values(views)].filter((one) => one?.sections);
  const texts = Object.assign({}, shown.texts, ...found.map((one) => one.sections));
  return { ...shown, id, texts };
}

function madeIn(shown, tookMs) {
  if (!shown.id) return shown.note;
  return `Written in ${(tookMs / 1000).toFixed(tookMs < 1000 ? 3 : 1)} s`;
}

const paragraphs = (text) =>
  text
    .replace(/^#+[^\n]*\n?/, "")
    .split("\n")
    .map((line) => line.replaceAll("**", "").replace(/^- /, "· ").trim())
    .filter(Boolean);
