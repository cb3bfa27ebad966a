import assert from "node:assert/strict";
import { test } from "node:test";

import { takeAction } from "../../../src/hasten/serve/console/static/session.js";

const NONE = { id: 0, modes: [], runs: {}, problem: null };
const BEGUN = takeAction(NONE, { type: "begin", id: 1, modes: ["baseline", "hasten"] });
const RUN = {
  event: "run",
  data: { run_id: "r", app: "demo", mode: "hasten", clock: "real", speed: 1, started_s: 1 },
};

test("each mode has its own run, and messages reach only theirs", () => {
  const race = takeAction(BEGUN, {
    type: "message",
    id: 1,
    mode: "hasten",
    message: RUN,
    receivedMs: 0,
  });
  assert.equal(race.runs.hasten.status, "running");
  assert.equal(race.runs.baseline, BEGUN.runs.baseline);
});

test("what comes late from a race that is gone is dropped", () => {
  const next = takeAction(BEGUN, { type: "begin", id: 2, modes: ["hasten"] });
  assert.equal(
    takeAction(next, { type: "message", id: 1, mode: "hasten", message: RUN, receivedMs: 0 }),
    next,
  );
  assert.equal(
    takeAction(next, { type: "connection", id: 2, mode: "baseline", isUp: false }),
    next,
  );
});

test("a refusal fails the run and is kept to be shown; a lost connection is no failure of the run", () => {
  const error = new Error("no");
  const refused = takeAction(BEGUN, { type: "fail", id: 1, mode: "hasten", error });
  assert.deepEqual([refused.runs.hasten.status, refused.problem], ["failed", error]);
  const running = takeAction(BEGUN, {
    type: "message",
    id: 1,
    mode: "hasten",
    message: RUN,
    receivedMs: 0,
  });
  assert.equal(
    takeAction(running, { type: "fail", id: 1, mode: "hasten", error }).runs.hasten.status,
    "lost",
  );
});

test("a connection that breaks and comes back is said", () => {
  const broken = takeAction(BEGUN, { type: "connection", id: 1, mode: "hasten", isUp: false });
  assert.equal(broken.runs.hasten.isConnected, false);
});
