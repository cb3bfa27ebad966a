import assert from "node:assert/strict";
import { test } from "node:test";

import { messageOf } from "../../../src/hasten/serve/console/static/client/messages.js";
import {
  elapsedS,
  isOver,
  NEW_RUN,
  pairRuns,
  spanPhase,
  speedup,
  takeMessage,
  takeTrace,
  totals,
} from "../../../src/hasten/serve/console/static/state.js";

const T0 = 1_700_000_000;

const begun = (more = {}) => ({
  event: "run",
  data: {
    run_id: "r1",
    app: "demo",
    mode: "hasten",
    clock: "real",
    speed: 4,
    simulated: true,
    started_s: T0,
    ...more,
  },
});

/** A span message: times are seconds after the run began. */
const span = (id, parentId, kind, name, startS, endS, attributes = {}, status = "ok") => ({
  event: "span",
  data: {
    span_id: id,
    parent_id: parentId,
    kind,
    name,
    start_s: T0 + startS,
    end_s: endS === null ? null : T0 + endS,
    status: endS === null ? "running" : status,
    attributes,
  },
});

const end = (status = "complete", error = null) => ({
  event: "",
  data: { run_id: "r1", complete: true, status, progress: 1, error },
});

const all = (messages, receivedMs = 0) =>
  messages.reduce((run, { event, data }) => takeMessage(run, messageOf("", event, data), receivedMs), NEW_RUN);

test("the first message says what runs", () => {
  const run = all([begun()]);
  assert.equal(run.status, "running");
  assert.deepEqual([run.runId, run.mode, run.speed, run.isSimulated], ["r1", "hasten", 4, true]);
  assert.equal(NEW_RUN.status, "starting");
});

test("a span is one span from its start to its end", () => {
  const run = all([
    begun(),
    span(1, null, "run", "demo", 0, null),
    span(2, 1, "tool", "look", 1, null),
    span(2, 1, "tool", "look", 1, 3.5),
  ]);
  assert.equal(run.spans.length, 2);
  assert.deepEqual([run.spans[1].startS, run.spans[1].endS, run.spans[1].status], [1, 3.5, "ok"]);
  assert.equal(run.lastS, 3.5);
});

test("text grows by section and finds its phase from the model call that writes it", () => {
  const run = all([
    begun(),
    span(1, null, "run", "demo", 0, null),
    span(2, 1, "step", "profile", 0, null, { phase: "first" }),
    span(3, 2, "model", "m", 0, null, { section: "Core" }),
    { event: "text", data: { section: "Core", text: "Hel", at_s: T0 + 0.4 } },
    { event: "text", data: { section: "Core", text: "lo", at_s: T0 + 0.6 } },
  ]);
  assert.deepEqual(run.texts, [{ section: "Core", phase: "first", text: "Hello" }]);
  assert.ok(Math.abs(run.firstTextS - 0.4) < 1e-6);
  assert.equal(spanPhase(run, run.spans[2]), "first");
  assert.equal(spanPhase(run, run.spans[0]), "");
});

test("text that is replaced is gone", () => {
  const run = all([
    begun(),
    { event: "text", data: { section: "Core", text: "Hel", at_s: T0 + 1 } },
    { event: "text.replaced", data: { section: "Core", text: "Good day", at_s: T0 + 2 } },
    { event: "text", data: { section: "Core", text: ".", at_s: T0 + 3 } },
  ]);
  assert.deepEqual(
    run.texts.map((one) => one.text),
    ["Good day."],
  );
  assert.equal(run.firstTextS, 1);
});

test("the figures of a run that is over are the server's", () => {
  const trace = { critical_path: [1, 3], duration_s: 23.9, first_text_s: null };
  const run = takeTrace({ ...all([begun(), end()]), firstTextS: 0.4 }, trace);
  assert.deepEqual([run.critical, run.endS, run.firstTextS], [[1, 3], 23.9, 0.4]);
  assert.equal(takeTrace(run, { ...trace, first_text_s: 0.5 }).firstTextS, 0.5);
});

test("without streamed text the first output is the first text", () => {
  const run = all([
    begun(),
    span(2, null, "step", "profile", 0, 18.3),
    {
      event: "",
      data: {
        phase: "first",
        status: "completed",
        data: { report: "# A" },
        progress: 0.5,
        run_id: "r1",
      },
    },
    {
      event: "",
      data: {
        phase: "first",
        status: "completed",
        data: { report: "# B" },
        progress: 0.5,
        run_id: "r1",
      },
    },
  ]);
  assert.ok(Math.abs(run.firstTextS - 18.3) < 1e-6);
  assert.deepEqual(run.outputs, [{ name: "report", phase: "first", value: "# B" }]);
  assert.equal(run.phases.first, "done");
});

test("progress says the step and the time left, and never undoes what is done", () => {
  const run = all([
    begun(),
    { event: "", data: { phase: "first", status: "completed", data: { a: 1 } } },
    {
      event: "",
      data: {
        phase: "first",
        status: "in_progress",
        progress: 0.6,
        current_step: "look",
        estimated_remaining_ms: 4000,
      },
    },
    {
      event: "",
      data: {
        phase: "second",
        status: "in_progress",
        progress: 0.7,
        current_step: "think",
        estimated_remaining_ms: null,
      },
    },
  ]);
  assert.deepEqual(run.phases, { first: "done", second: "running" });
  assert.deepEqual([run.progress, run.step, run.remainingMs], [0.7, "think", null]);
});

test("the end closes what was open and stops the clock", () => {
  const run = all([
    begun(),
    span(1, null, "run", "demo", 0, null),
    span(2, 1, "tool", "look", 1, null),
    span(1, null, "run", "demo", 0, 5, {}, "cancelled"),
    end("cancelled", { code: "cancelled", message: "was cancelled" }),
  ]);
  assert.ok(isOver(run));
  assert.deepEqual([run.endS, run.status, run.error.message], [5, "cancelled", "was cancelled"]);
  assert.deepEqual([run.spans[1].endS, run.spans[1].status], [5, "cancelled"]);
  assert.equal(elapsedS(run, 1e9), 5);
});

test("what went on without something is kept by name", () => {
  const run = all([begun(), { event: "degraded", data: { step: "look", reason: "timed out" } }]);
  assert.deepEqual(run.degraded, [{ step: "look", reason: "timed out" }]);
});

test("an event nobody knows changes nothing", () => {
  const run = all([begun()]);
  assert.deepEqual(takeMessage(run, { event: "cache", data: { hit: true } }, 0), run);
});

test("between messages time goes on at the run's pace, and late messages do not set it back", () => {
  let run = takeMessage(NEW_RUN, begun(), 1000);
  assert.equal(elapsedS(run, 1500), 2);
  run = takeMessage(run, span(2, null, "tool", "look", 1.5, null), 1500); // half a second late
  assert.equal(elapsedS(run, 1500), 2);
  run = takeMessage(run, span(3, null, "tool", "see", 4, null), 1750); // came faster than the first
  assert.equal(elapsedS(run, 2000), 5);
});

test("a virtual run's speed is its own: its seconds are not the page's", () => {
  assert.equal(all([begun({ clock: "virtual", speed: 40 })]).speed, 1);
});

test("totals count calls and add what model calls used", () => {
  const run = all([
    begun(),
    span(2, null, "tool", "look", 0, 1),
    span(3, null, "model", "m", 0, 1, { tokens_in: 10, tokens_out: 5, cost_usd: 0.5 }),
    span(4, null, "model", "m", 0, null),
  ]);
  assert.deepEqual(totals(run), {
    modelCalls: 2,
    toolCalls: 1,
    tokensIn: 10,
    tokensOut: 5,
    costUsd: 0.5,
  });
});

test("the speed-up is a lower bound until both are done, and nothing before the last is", () => {
  const done = (endS, status = "complete") => ({ ...NEW_RUN, status, endS, startedS: T0 });
  const live = { ...NEW_RUN, status: "running", startedS: T0, anchorS: 0, speed: 1 };
  assert.equal(speedup([live, live], 0), null);
  assert.deepEqual(speedup([live, done(10)], 25_000), { ratio: 2.5, isFinal: false });
  assert.deepEqual(speedup([done(93), done(24, "degraded")], 0), { ratio: 3.875, isFinal: true });
  assert.equal(speedup([done(93, "failed"), done(24)], 0), null);
  assert.equal(speedup([done(93), done(24, "cancelled")], 0), null);
  assert.equal(speedup([done(93)], 0), null);
});

test("runs begun together in different modes are one race", () => {
  const run = (id, mode, startedS, more = {}) => ({
    run_id: id,
    app: "demo",
    speed: 4,
    mode,
    started_s: startedS,
    ...more,
  });
  const races = pairRuns(
    [
      run("e", "hasten", 90.2),
      run("d", "baseline", 90.1),
      run("c", "hasten", 50),
      run("b", "hasten", 10.3),
      run("a", "baseline", 10.2, { speed: 1 }),
    ],
    ["baseline", "hasten"],
  );
  assert.deepEqual(
    races.map((race) => race.map((one) => one.run_id)),
    [["d", "e"], ["c"], ["b"], ["a"]],
  );
});
