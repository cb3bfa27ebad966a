/** What the server offers: its applications, the form of the chosen one, the runs there were. */

import { useCallback, useEffect, useState } from "./dom.js";
import { listApps, listRuns, showRun } from "./api.js";
import { appInAddress } from "./page.js";
import { startValues, withValue } from "./schema.js";
import { idsInAddress } from "./session.js";

const SPEED = 4;

/** A form as it begins: the first sample, or the one called `sample`, filled in. */
function newForm(app, sample = Object.keys(app.samples)[0] ?? "") {
  const values = startValues(app.inputs, app.samples[sample]);
  return { sample, values, modes: "both", speed: SPEED, isReusing: true };
}

/**
 * Loads the applications and opens the runs that the address names. `failure` is
 * the last error; what changes the form keeps what it does not speak of.
 */
export function useCatalog(open) {
  const [apps, setApps] = useState(null);
  const [chosen, setChosen] = useState({ app: null, form: null });
  const [failure, setFailure] = useState(null);
  const { app, form } = chosen;

  const choose = useCallback((one) => setChosen({ app: one, form: newForm(one) }), []);
  const load = useCallback(async () => {
    try {
      const found = (await listApps()).flatMap((one) => [one, ...one.operations]);
      setFailure(null);
      setApps(found);
      const asked = await Promise.all(idsInAddress().map(showRun)).catch(
        (error) => (setFailure(error), []),
      );
      const first = called(found, asked[0]?.app) ?? askedFor(found);
      if (first) choose(first);
      if (asked.length) open(inOrder(asked, first.modes));
    } catch (error) {
      setFailure(error);
    }
  }, []);
  useEffect(() => void load(), []);

  const chooseAsked = useCallback(() => {
    const asked = askedFor(apps ?? []);
    if (asked) choose(asked);
  }, [apps]);

  const change = (more) => setChosen({ app, form: { ...form, ...more } });
  const pickSample = (sample) => change({ sample, values: newForm(app, sample).values });
  const setField = (name, value) =>
    change({ sample: "", values: withValue(app.inputs, form.values, name, value) });
  const shown = { apps, app, form, failure };
  return { ...shown, setFailure, choose, chooseAsked, load, change, pickSample, setField };
}

const called = (apps, name) => apps.find((one) => one.name === name);

/** The application the address asks for, else the first. */
const askedFor = (apps) => called(apps, appInAddress()) ?? apps[0];

const inOrder = (runs, modes) => runs.sort((a, b) => modes.indexOf(a.mode) - modes.indexOf(b.mode));

/** The newest runs of `app`, asked for again whenever one of `runs` begins or ends. */
export function useRecent(app, runs, onError) {
  const [recent, setRecent] = useState([]);
  const progress = runs.map((run) => run.runId + run.status).join();
  useEffect(() => {
    if (app) listRuns(app.name).then(setRecent, onError);
  }, [app, progress]);
  return recent;
}
