import assert from "node:assert/strict";
import { test } from "node:test";

import { HastenClient, Problem } from "../src/client.ts";
import { IDLE, isOver, takeMessage } from "../src/state.ts";
import { messageOf } from "../src/messages.ts";

const END = 'id: 2\ndata: {"complete":true,"run_id":"r1","status":"complete"}\n\n';

/** A client whose requests go to `answers`, one after the other; what was asked is kept. */
function clientOf(answers: (Response | Error)[]) {
  const asked: { url: string; init: RequestInit }[] = [];
  const fake = async (url: string, init: RequestInit) => {
    asked.push({ url, init });
    const next = answers.shift()!;
    if (next instanceof Error) throw next;
    return next;
  };
  const options = { baseUrl: "https://h.example/", apiKey: "hst_1", fetch: fake as typeof fetch };
  return { asked, client: new HastenClient(options) };
}

test("a run is started once and taken up by its id", async () => {
  const begun = new Response('retry: 1\n\nid: 1\nevent: run\ndata: {"run_id":"r1"}\n\n', {
    headers: { "Hasten-Run-Id": "r1" },
  });
  const { asked, client } = clientOf([begun, new Response(END)]);
  const told = [];
  const ids: string[] = [];
  const request = { app: "toy", inputs: {} };
  const options = { reuse: false, onRun: (id: string) => ids.push(id) };
  for await (const { event } of client.start(request, options)) told.push(event);
  assert.deepEqual(told, ["run", "end"]);
  assert.deepEqual(ids, ["r1"]);
  assert.deepEqual(
    asked.map(({ url }) => url),
    ["https://h.example/api/run/stream", "https://h.example/api/runs/r1/events"],
  );
  const [first, second] = asked.map(({ init }) => init.headers as Record<string, string>);
  assert.equal(first?.["Cache-Control"], "no-cache");
  assert.equal(second?.["Last-Event-ID"], "1");
  assert.equal(second?.Authorization, "Bearer hst_1");
});

test("a start that fails is not tried again: it may have begun", async () => {
  const { asked, client } = clientOf([new TypeError("refused")]);
  const reading = client.start({ app: "toy", inputs: {} }).next();
  await assert.rejects(reading, /cannot be reached/);
  assert.equal(asked.length, 1);
});

test("a no is a Problem that names the fields", async () => {
  const errors = [{ field: "inputs.topic", message: "say what", allowed: ["tea"] }];
  const body = JSON.stringify({ title: "Invalid input", detail: "topic: say what", errors });
  const { client } = clientOf([new Response(body, { status: 422 })]);
  const error: Problem = await client.run({ app: "toy", inputs: {} }).catch((found) => found);
  assert.ok(error instanceof Problem);
  assert.deepEqual([error.status, error.isFinal, error.errors], [422, true, errors]);
  assert.equal(error.message, "topic: say what");
});

test("leaving the loop cancels nothing", async () => {
  const { asked, client } = clientOf([new Response(`id: 1\nevent: run\ndata: {}\n\n${END}`)]);
  for await (const { id } of client.follow("r1", { after: "0.1" })) {
    assert.equal(id, "1");
    break;
  }
  assert.equal(asked.length, 1);
});

test("what a page shows is made from messages alone", () => {
  const told: [string, object][] = [
    ["run", { run_id: "r1" }],
    ["", { phase: "a", status: "in_progress", progress: 0.2, estimated_remaining_ms: 90, current_step: "look" }],
    ["text", { section: "s", text: "one " }],
    ["text", { section: "s", text: "two" }],
    ["text.replaced", { section: "s", text: "three" }],
    ["gap", { first: 7, last: 8 }],
    ["", { phase: "a", status: "completed", data: { x: 1 }, progress: 0.5, estimated_remaining_ms: null }],
    ["span", { span_id: 1 }],
  ];
  let run = told.reduce((before, [event, data]) => takeMessage(before, messageOf("1", event, data)), IDLE);
  assert.deepEqual([run.status, run.progress, run.etaMs, run.texts], ["running", 0.5, null, { s: "three" }]);
  assert.deepEqual(run.phases, { a: { status: "completed", currentStep: "", data: { x: 1 } } });
  assert.deepEqual([run.outputs, run.gaps, isOver(run)], [{ x: 1 }, [{ first: 7, last: 8 }], false]);
  const end = { complete: true, run_id: "r1", status: "degraded", degraded_by: ["a: b"], error: null, reuse: {} };
  run = takeMessage(run, messageOf("9", "", end));
  assert.deepEqual([run.status, run.degradedBy, isOver(run)], ["degraded", ["a: b"], true]);
});
