/**
 * What the page knows of a run, made from the stream's messages alone.
 *
 * Pure: state and message in, new state out; no clock, no network. Times are
 * seconds since the run began, on the run's own clock.
 */

/** A run about which nothing is known yet. */
export const NEW_RUN = Object.freeze({
  runId: "",
  app: "",
  mode: "",
  clock: "real",
  speed: 1,
  isSimulated: false,
  startedS: null,
  status: "starting",
  isConnected: true,
  spans: [],
  critical: [],
  texts: [],
  outputs: [],
  phases: {},
  progress: 0,
  remainingMs: null,
  step: "",
  degraded: [],
  error: null,
  reuse: null,
  firstTextS: null,
  lastS: 0,
  endS: null,
  anchorS: null,
});

/** Whether the run has ended, one way or another. */
export const isOver = (run) => !["starting", "running"].includes(run.status);

/** Whether the run gave a whole answer. */
export const isAnswered = (run) => run.status === "complete" || run.status === "degraded";

/**
 * Takes one message, `{event, data}`, into a run. `receivedMs` is when it came,
 * on the page's clock; it ties the run's clock to the page's (`elapsedS`).
 */
export function takeMessage(run, { event, data }, receivedMs) {
  const next = READERS[event]?.(run, data) ?? run;
  if (next.startedS === null || next.endS !== null) return next;
  // The message that took the least time to arrive says best what the run's clock shows.
  const anchorS = Math.max(
    next.anchorS ?? -Infinity,
    next.lastS - (receivedMs / 1000) * next.speed,
  );
  return { ...next, anchorS };
}

/**
 * Takes the figures of a run that is over as the server worked them out: the ids of
 * the spans on its critical path, and the seconds it shows everywhere else.
 */
export const takeTrace = (run, trace) => ({
  ...run,
  critical: trace.critical_path,
  endS: trace.duration_s,
  firstTextS: trace.first_text_s ?? run.firstTextS,
});

/** Seconds the run has taken by `nowMs` on the page's clock. */
export function elapsedS(run, nowMs) {
  if (run.endS !== null) return run.endS;
  if (run.anchorS === null || isOver(run)) return run.lastS;
  return Math.max(run.lastS, run.anchorS + (nowMs / 1000) * run.speed);
}

const READERS = {
  run: (run, data) => ({
    ...run,
    runId: data.run_id,
    app: data.app,
    mode: data.mode,
    clock: data.clock,
    speed: data.clock === "real" ? (data.speed ?? 1) : 1,
    isSimulated: Boolean(data.simulated),
    startedS: data.started_s,
    status: "running",
  }),

  span(run, data) {
    const span = spanOf(run, data);
    const known = run.spans.findIndex((one) => one.id === span.id);
    const spans = known < 0 ? [...run.spans, span] : run.spans.with(known, span);
    const lastS = Math.max(run.lastS, span.endS ?? span.startS);
    return { ...run, spans, lastS };
  },

  text: (run, data) => withText(run, data, (before) => before + data.text),

  "text.replaced": (run, data) => withText(run, data, () => data.text),

  degraded: (run, data) => ({ ...run, degraded: [...run.degraded, data] }),

  progress: (run, data) => ({
    ...run,
    progress: data.progress ?? run.progress,
    remainingMs: data.estimated_remaining_ms ?? null,
    step: data.current_step ?? run.step,
    phases: data.phase ? { ...run.phases, [data.phase]: "running", ...doneOf(run) } : run.phases,
  }),

  output(run, data) {
    const made = Object.entries(data.data).map(([name, value]) => ({
      name,
      phase: data.phase,
      value,
    }));
    const outputs = [...run.outputs.filter((one) => !(one.name in data.data)), ...made];
    const phases = { ...run.phases, [data.phase]: "done" };
    return { ...run, outputs, phases, firstTextS: run.firstTextS ?? run.lastS };
  },

  end(run, data) {
    const root = run.spans.find((span) => span.kind === "run");
    const endS = root?.endS ?? run.lastS;
    const spans = run.spans.map((span) =>
      span.endS === null ? { ...span, endS, status: "cancelled" } : span,
    );
    const ended = {
      status: data.status,
      error: data.error ?? null,
      reuse: data.reuse ?? null,
      progress: 1,
      remainingMs: 0,
      step: "",
    };
    return { ...run, ...ended, spans, endS };
  },
};

function withText(run, data, change) {
  const atS = data.at_s - run.startedS;
  const known = run.texts.findIndex((one) => one.section === data.section);
  const text = {
    section: data.section,
    phase: phaseOf(run, data),
    text: change(run.texts[known]?.text ?? ""),
  };
  const texts = known < 0 ? [...run.texts, text] : run.texts.with(known, text);
  return { ...run, texts, lastS: Math.max(run.lastS, atS), firstTextS: run.firstTextS ?? atS };
}

const doneOf = (run) =>
  Object.fromEntries(Object.entries(run.phases).filter(([, status]) => status === "done"));

function spanOf(run, data) {
  const originS = run.startedS ?? data.start_s;
  return {
    id: data.span_id,
    parentId: data.parent_id,
    kind: data.kind,
    name: data.name,
    startS: Math.max(0, data.start_s - originS),
    endS: data.end_s == null ? null : Math.max(0, data.end_s - originS),
    status: data.status,
    attributes: data.attributes ?? {},
  };
}

/** The phase of a piece of text: its own word, or that of the model call that writes its section. */
function phaseOf(run, data) {
  if (data.phase) return data.phase;
  const writer = run.spans.findLast(
    (span) => span.kind === "model" && span.attributes.section === data.section,
  );
  return writer ? spanPhase(run, writer) : "";
}

/** The phase of a span: its own, or that of the nearest span around it. */
export function spanPhase(run, span) {
  for (let here = span; here; here = run.spans.find((one) => one.id === here.parentId)) {
    if (here.attributes.phase) return here.attributes.phase;
  }
  return "";
}

/** Calls, tokens and money so far; a model call's figures are known when it ends. */
export function totals(run) {
  const sum = { modelCalls: 0, toolCalls: 0, tokensIn: 0, tokensOut: 0, costUsd: 0 };
  for (const { kind, attributes } of run.spans) {
    if (kind === "tool") sum.toolCalls += 1;
    if (kind !== "model") continue;
    sum.modelCalls += 1;
    sum.tokensIn += attributes.tokens_in ?? 0;
    sum.tokensOut += attributes.tokens_out ?? 0;
    sum.costUsd += attributes.cost_usd ?? 0;
  }
  return sum;
}

/**
 * How many times as fast the last run is as the first: `{ratio, isFinal}`, or null
 * as long as it cannot be said. While only the last is done, the ratio is a lower bound.
 */
export function speedup(runs, nowMs) {
  if (runs.length < 2) return null;
  const [before, after] = [runs[0], runs.at(-1)];
  if (!isAnswered(after) || !after.endS || (isOver(before) && !isAnswered(before))) return null;
  return { ratio: elapsedS(before, nowMs) / after.endS, isFinal: isAnswered(before) };
}

/**
 * Pairs the runs of one race: same app and speed, different modes, begun within a second.
 * Takes the server's list, newest first; returns lists of runs in the order of `modes`.
 */
export function pairRuns(runs, modes) {
  const left = [...runs];
  const races = [];
  while (left.length) {
    const race = [left.shift()];
    for (let place = 0; place < left.length;) {
      const isPart = race.every((run) => belongTogether(run, left[place]));
      if (isPart) race.push(...left.splice(place, 1));
      else place += 1;
    }
    races.push(race.sort((a, b) => modes.indexOf(a.mode) - modes.indexOf(b.mode)));
  }
  return races;
}

const belongTogether = (a, b) =>
  a.app === b.app &&
  a.speed === b.speed &&
  a.mode !== b.mode &&
  Math.abs(a.started_s - b.started_s) < 1;
