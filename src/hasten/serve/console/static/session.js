/**
 * The race on the page: begun, opened again, followed to its end, cancelled.
 *
 * Owns the effects (connections, the address); what the messages mean is in
 * state.js. `app.js` uses the hook `useRace`.
 */

import { useCallback, useEffect, useReducer, useRef } from "./dom.js";
import { client, readAll } from "./api.js";
import { isOver, NEW_RUN, takeMessage, takeTrace } from "./state.js";

/** No race yet. */
const NONE = { id: 0, modes: [], runs: {}, problem: null };

/** Takes an action into the race; what comes late from one no longer shown is dropped. */
export function takeAction(race, action) {
  if (action.type === "begin") {
    const runs = action.modes.map((mode) => [mode, { ...NEW_RUN, mode }]);
    return { id: action.id, modes: action.modes, runs: Object.fromEntries(runs), problem: null };
  }
  if (action.type === "clear") return { ...NONE, problem: action.problem ?? null };
  const run = race.runs[action.mode];
  if (action.id !== race.id || !run) return race;
  const next = TAKEN[action.type](run, action);
  const runs = { ...race.runs, [action.mode]: next };
  return { ...race, runs, problem: action.error ?? race.problem };
}

const TAKEN = {
  message: (run, { message, receivedMs }) => takeMessage(run, message, receivedMs),
  trace: (run, { trace }) => takeTrace(run, trace),
  connection: (run, { isUp }) => ({ ...run, isConnected: isUp }),
  fail: (run, { error }) => ({
    ...run,
    status: run.runId ? "lost" : "failed",
    error: { message: error.message },
  }),
};

/** Returns the race shown and what can be done with it. */
export function useRace() {
  const [race, dispatch] = useReducer(takeAction, NONE);
  const current = useRef({ id: 0, stop: new AbortController(), isCancelled: false });

  const followAll = useCallback((modes, open) => {
    current.current.stop.abort();
    const { id, stop } = (current.current = {
      id: current.current.id + 1,
      stop: new AbortController(),
      isCancelled: false,
    });
    dispatch({ type: "begin", id, modes });
    for (const mode of modes) {
      const tell = (type, more) => dispatch({ type, id, mode, ...more });
      const onConnection = (isUp) => tell("connection", { isUp });
      const messages = open(mode, { signal: stop.signal, onConnection });
      readAll(messages, (message) =>
        tell("message", { message, receivedMs: performance.now() }),
      )
        .then((runId) => runId && tellTrace(runId, tell))
        .catch((error) => stop.signal.aborted || tell("fail", { error }));
    }
  }, []);

  const begin = useCallback(
    (modes, body, isReusing) =>
      followAll(modes, (mode, options) =>
        client.start({ ...body, mode }, { ...options, reuse: isReusing }),
      ),
    [followAll],
  );
  const open = useCallback(
    (runs) => {
      const ids = Object.fromEntries(runs.map((run) => [run.mode, run.run_id]));
      followAll(Object.keys(ids), (mode, options) => client.follow(ids[mode], options));
    },
    [followAll],
  );
  const clear = useCallback((problem) => {
    current.current.stop.abort();
    dispatch({ type: "clear", problem });
  }, []);

  const runs = race.modes.map((mode) => race.runs[mode]);
  const cancel = () => {
    current.current.isCancelled = true;
    return Promise.allSettled(
      runs.filter((run) => run.runId && !isOver(run)).map((run) => client.cancel(run.runId)),
    );
  };
  const known = runs.map((run) => run.runId).join();
  useEffect(() => {
    // Cancel may be pressed before a run has told its id: then it ends as soon as it has.
    if (current.current.isCancelled) cancel();
  }, [known]);
  useAddress(runs);
  return { runs, problem: race.problem, begin, open, clear, cancel };
}

/** Asks for the whole trace of a run that is over; without it no bar is marked as critical. */
const tellTrace = (runId, tell) =>
  client.show(runId).then(
    (trace) => tell("trace", { trace }),
    () => {},
  );

/** Keeps the ids of the race in the address: reloading or sharing it finds the runs again. */
function useAddress(runs) {
  const ids = runs.map((run) => run.runId).filter(Boolean);
  const hash = ids.length && ids.length === runs.length ? `#runs=${ids.join(",")}` : "";
  useEffect(() => {
    if (hash) history.replaceState(null, "", hash);
  }, [hash]);
}

/** The ids of the runs the address names. */
export function idsInAddress() {
  const ids = new URLSearchParams(location.hash.slice(1)).get("runs");
  return ids ? ids.split(",").filter(Boolean) : [];
}
