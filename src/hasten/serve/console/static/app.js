/** The page: which application, its form, the race, the report, the runs; its own page; the cache. */

import { html, render, useEffect, useState } from "./dom.js";
import { Announcer } from "./announcer.js";
import { CachePage } from "./cache.js";
import { useCatalog, useRecent } from "./catalog.js";
import { Form } from "./form.js";
import { GatewayPage } from "./gateway.js";
import { Header } from "./header.js";
import { AppPage, putInAddress, useView } from "./page.js";
import { QualityPage } from "./quality.js";
import { Race } from "./race.js";
import { Report } from "./report.js";
import { RecentRuns } from "./runs.js";
import { inputsOf } from "./schema.js";
import { useRace } from "./session.js";
import { JobsPage } from "./jobs.js";
import { KeyDialog } from "./settings.js";
import { isOver, NEW_RUN } from "./state.js";

function App() {
  const race = useRace();
  const catalog = useCatalog(race.open);
  const { apps, app, failure } = catalog;
  const [wanted, setView] = useView(catalog.chooseAsked);
  const view = wanted === "page" && !app?.page ? "race" : wanted;
  const [isAskingKey, setIsAskingKey] = useState(false);
  useEffect(() => {
    if ([failure?.status, race.problem?.status].includes(401)) setIsAskingKey(true);
  }, [failure, race.problem]);

  const errors = errorsOf(race.problem, app);
  const choose = (one) => {
    race.clear();
    putInAddress(one, view);
    catalog.choose(one);
  };
  const showRun = (runs) => {
    race.open(runs);
    setView("race");
  };
  const leaveKey = (isChanged) => {
    setIsAskingKey(false);
    if (isChanged) catalog.load();
  };
  return html`
    <${Header}
      apps=${apps ?? []}
      app=${app}
      onChoose=${choose}
      view=${view}
      onView=${setView}
      onKey=${() => setIsAskingKey(true)}
    />
    <main>
      <${Banner} text=${failure?.message || errors.rest} />
      ${
        app &&
        view === "page" &&
        html`<${AppPage} key=${app.name} app=${app} onError=${catalog.setFailure} />`
      }
      ${
        app &&
        view === "cache" &&
        html`<${CachePage} app=${app} form=${catalog.form} onError=${catalog.setFailure} />`
      }
      ${
        view === "gateway" &&
        html`
          <${GatewayPage} isWaiting=${failure?.status === 401} onError=${catalog.setFailure} />
        `
      }
      ${
        app &&
        view === "quality" &&
        html`<${QualityPage} key=${app.name} app=${app} onError=${catalog.setFailure} />`
      }
      ${
        app &&
        view === "jobs" &&
        html`<${JobsPage} onOpen=${showRun} onError=${catalog.setFailure} />`
      }
      ${
        app &&
        view === "race" &&
        html`<${Stage} race=${race} catalog=${catalog} errors=${errors.byField} />`
      }
      ${apps?.length === 0 && html`<p class="quiet">No application is installed.</p>`}
    </main>
    <${Announcer} runs=${race.runs} />
    <${KeyDialog} isOpen=${isAskingKey} onClose=${leaveKey} />
  `;
}

/** What there is once an application is chosen: form and past runs beside race and report. */
function Stage({ race, catalog, errors }) {
  const { app, form, setFailure } = catalog;
  const { runs } = race;
  const recent = useRecent(app, runs, setFailure);
  const isRunning = runs.some((run) => !isOver(run));
  const hasBegun = isRunning || runs.some((run) => run.runId);
  useEscape(isRunning);

  const start = () => {
    const modes = form.modes === "both" ? app.modes : [form.modes];
    const pace = app.simulated ? { speed: form.speed } : {};
    setFailure(null);
    showRace();
    const asked = { app: app.name, inputs: inputsOf(app.inputs, form.values), ...pace };
    race.begin(modes, asked, form.isReusing);
  };
  const replace = (mode, runId) =>
    race.open(runs.map((run) => ({ mode: run.mode, run_id: run.mode === mode ? runId : run.runId })));
  return html`
    <div class="side">
      <${Form}
        app=${app}
        form=${form}
        errors=${errors}
        isRunning=${isRunning}
        onChange=${catalog.change}
        onSample=${catalog.pickSample}
        onField=${catalog.setField}
        onRun=${start}
        onCancel=${race.cancel}
      />
      <${RecentRuns}
        app=${app}
        runs=${recent}
        shown=${runs.map((run) => run.runId)}
        onOpen=${race.open}
      />
    </div>
    <div class="stage">
      <${Race} app=${app} runs=${hasBegun ? runs : app.modes.map((mode) => idleRun(app, mode))} />
      ${hasBegun && html`<${Report} app=${app} runs=${runs} onAnew=${replace} />`}
    </div>
  `;
}

const idleRun = (app, mode) => ({
  ...NEW_RUN,
  mode,
  status: "idle",
  isSimulated: app.simulated,
});

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
  return {
    byField: Object.fromEntries(atFields.map((error) => [error.name, error])),
    rest: isSaid ? "" : (problem?.message ?? ""),
  };
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
      const isOurs = event.key === "Escape" && !document.querySelector("dialog[open]");
      if (isOurs && isRunning) document.querySelector(".cancel")?.focus();
    };
    addEventListener("keydown", onKeyDown);
    return () => removeEventListener("keydown", onKeyDown);
  }, [isRunning]);
}

render(html`<${App} />`, document.getElementById("app"));
