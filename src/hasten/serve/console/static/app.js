/** The page: which application, its form, the race, the report, the runs there were. */

import { html, render, useCallback, useEffect, useRef, useState } from "./dom.js";
import { listApps, listRuns, showRun } from "./api.js";
import { Form } from "./form.js";
import { seconds, times, title } from "./format.js";
import { Race } from "./race.js";
import { Report } from "./report.js";
import { RecentRuns } from "./runs.js";
import { inputsOf, startValues, withValue } from "./schema.js";
import { idsInAddress, useRace } from "./session.js";
import { KeyDialog } from "./settings.js";
import { isOver, NEW_RUN, speedup } from "./state.js";

const SPEED = 4;

function newForm(app) {
  const [sample = ""] = Object.keys(app.samples);
  return { sample, values: startValues(app.inputs, app.samples[sample]), modes: "both", speed: SPEED };
}

/** The errors that name a field, by its name, and what is left to say. */
function errorsOf(problem, app) {
  const names = Object.keys(app?.inputs.properties ?? {});
  const found = (problem?.errors ?? []).map(({ field, message, allowed }) => ({
    name: field.replace(/^inputs\./, ""),
    message: message.replace(`'${field}': `, ""), // it stands at its field
    allowed,
  }));
  const atFields = found.filter((error) => names.includes(error.name));
  const isSaid = atFields.length > 0 && atFields.length === found.length;
  return { byField: Object.fromEntries(atFields.map((error) => [error.name, error])), rest: isSaid ? "" : (problem?.message ?? "") };
}

function App() {
  const [apps, setApps] = useState(null);
  const [app, setApp] = useState(null);
  const [form, setForm] = useState(null);
  const [recent, setRecent] = useState([]);
  const [failure, setFailure] = useState(null);
  const [isAskingKey, setIsAskingKey] = useState(false);
  const { runs, problem, begin, open, clear, cancel } = useRace();

  const fail = useCallback((error) => {
    setFailure(error);
    if (error.status === 401) setIsAskingKey(true);
  }, []);
  const choose = useCallback((chosen) => {
    setApp(chosen);
    setForm(newForm(chosen));
  }, []);
  const load = useCallback(async () => {
    try {
      const found = await listApps();
      setFailure(null);
      setApps(found);
      const asked = await Promise.all(idsInAddress().map(showRun)).catch((error) => (fail(error), []));
      const first = found.find((one) => one.name === asked[0]?.app) ?? found[0];
      if (first) choose(first);
      if (asked.length) open(asked.sort((a, b) => first.modes.indexOf(a.mode) - first.modes.indexOf(b.mode)));
    } catch (error) {
      fail(error);
    }
  }, []);
  useEffect(() => void load(), []);

  const isRunning = runs.some((run) => !isOver(run));
  const progress = runs.map((run) => `${run.runId}:${isOver(run)}`).join();
  useEffect(() => {
    if (app) listRuns(app.name).then(setRecent, fail);
  }, [app, progress]);
  useEffect(() => {
    if (problem?.status === 401) setIsAskingKey(true);
  }, [problem]);
  useEscape(isRunning);

  const start = () => {
    setFailure(null);
    const modes = form.modes === "both" ? app.modes : [form.modes];
    const speed = app.simulated ? { speed: form.speed } : {};
    showRace();
    begin(modes, { app: app.name, inputs: inputsOf(app.inputs, form.values), ...speed });
  };
  const errors = errorsOf(problem, app);
  const hasBegun = isRunning || runs.some((run) => run.runId);
  const shown = hasBegun ? runs : (app?.modes ?? []).map((mode) => ({ ...NEW_RUN, mode, status: "idle", isSimulated: app.simulated }));
  return html`
    <${Header} apps=${apps ?? []} app=${app} onChoose=${(chosen) => (clear(), choose(chosen))} onKey=${() => setIsAskingKey(true)} />
    <main>
      <${Banner} text=${failure?.message || errors.rest} />
      ${app &&
      html`
        <div class="side">
          <${Form}
            app=${app}
            form=${form}
            errors=${errors.byField}
            isRunning=${isRunning}
            onChange=${(change) => setForm({ ...form, ...change })}
            onSample=${(sample) => setForm({ ...form, sample, values: startValues(app.inputs, app.samples[sample]) })}
            onField=${(name, value) => setForm({ ...form, sample: "", values: withValue(app.inputs, form.values, name, value) })}
            onRun=${start}
            onCancel=${cancel}
          />
          <${RecentRuns} app=${app} runs=${recent} shown=${runs.map((run) => run.runId)} onOpen=${open} />
        </div>
        <div class="stage">
          <${Race} app=${app} runs=${shown} />
          ${hasBegun && html`<${Report} app=${app} runs=${runs} />`}
        </div>
      `}
      ${apps?.length === 0 && html`<p class="quiet">No application is installed.</p>`}
    </main>
    <${Announcer} runs=${runs} />
    <${KeyDialog} isOpen=${isAskingKey} onClose=${(isChanged) => (setIsAskingKey(false), isChanged && load())} />
  `;
}

function Header({ apps, app, onChoose, onKey }) {
  return html`
    <header class="top">
      <h1><img src="/console/icon.svg" alt="" width="22" height="22" />Hasten</h1>
      ${apps.length > 1
        ? html`<select class="apps" aria-label="Application" value=${app?.name} onChange=${(event) => onChoose(apps.find((one) => one.name === event.target.value))}>
            ${apps.map((one) => html`<option key=${one.name} value=${one.name}>${one.title}</option>`)}
          </select>`
        : html`<span class="app-title">${app?.title ?? ""}</span>`}
      <p class="about">${app?.about ?? ""}</p>
      ${app?.simulated && html`<p class="badge" title="No provider is asked: a seeded model answers with the latencies measured for this application.">Simulated model · figures are simulated seconds</p>`}
      <button type="button" class="plain" onClick=${onKey}>Key</button>
    </header>
  `;
}

function Banner({ text }) {
  return html`<div role="alert">${text && html`<p class="note bad">${text}</p>`}</div>`;
}

/** Where the race is far below the form, as on a phone, the page goes there. */
function showRace() {
  const race = document.querySelector(".race");
  if (race.getBoundingClientRect().top > innerHeight / 2) race.scrollIntoView();
}

/** Esc during a race goes to Cancel; it does not press it. */
function useEscape(isRunning) {
  useEffect(() => {
    const onKeyDown = (event) => {
      if (event.key === "Escape" && isRunning && !document.querySelector("dialog[open]")) document.querySelector(".cancel")?.focus();
    };
    addEventListener("keydown", onKeyDown);
    return () => removeEventListener("keydown", onKeyDown);
  }, [isRunning]);
}

/** Says in words, for those who do not see it, what begins and what ends. */
function Announcer({ runs }) {
  const before = useRef("");
  const [said, setSaid] = useState("");
  const now = runs.map((run) => `${run.mode}:${run.status}`).join();
  useEffect(() => {
    const had = before.current.split(",");
    before.current = now;
    const news = runs.filter((run) => run.status !== "starting" && !had.includes(`${run.mode}:${run.status}`)).map(sentence);
    const found = speedup(runs, 0);
    if (news.length && found?.isFinal) news.push(`${times(found.ratio)} as fast.`);
    if (news.length) setSaid(news.join(" "));
  }, [now]);
  return html`<p class="unseen" aria-live="polite">${said}</p>`;
}

function sentence(run) {
  if (!isOver(run)) return `${title(run.mode)} has begun.`;
  return `${title(run.mode)}: ${run.status} after ${seconds(run.endS)}${run.isSimulated ? " simulated" : ""}.`;
}

render(html`<${App} />`, document.getElementById("app"));
