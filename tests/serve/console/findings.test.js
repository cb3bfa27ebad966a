import assert from "node:assert/strict";
import { test } from "node:test";
import { figure, resultLines } from "../../../src/hasten/serve/console/static/findings.js";

test("figures are shown by their unit", () => {
  assert.equal(figure(null, "s"), "–");
  assert.equal(figure(0.004, "s"), "4 ms");
  assert.equal(figure(41.53, "requests/s"), "41.5 requests/s");
  assert.equal(figure(5412.4, "tokens"), "5,412 tokens");
});

test("a check has a line a figure, with why one was missed", () => {
  const reading = { about: "cold", unit: "s", plan: "< 30 s", at_most: 22, at_least: null };
  const readings = [
    { ...reading, baseline: 93, value: 19.8, is_held: true, why: "" },
    { ...reading, at_most: null, at_least: 70, unit: "%", value: null, is_held: false, why: "no" },
  ];
  const { lines } = resultLines({ kind: "check", data: { readings } });
  assert.deepEqual(lines[1], ["cold", "–", "–", "< 30 s", "≥ 70 %", "missed no"]);
  assert.equal(lines[0].at(-1), "held");
});

test("an experiment says what it concludes", () => {
  const data = {
    scores: { sections: [1, 0.95] },
    quality: [0.95, 0.92, 0.99],
    at_least: 0.9,
    conclusion: "kept",
    pairs: 12,
    saved: { tokens_in: 0.42 },
  };
  const { lines, note } = resultLines({ kind: "experiment", data });
  assert.deepEqual(lines, [["sections", "1.00", "0.95"]]);
  assert.match(note, /95.0 % of the baseline’s .*12 pairs: kept. Saved: tokens in 42.0 %/);
});

test("a load test ends with the line of all requests", () => {
  const one = { requests: 10, failures: 0, requests_per_s: 2, p50_s: 1, p95_s: 2, p99_s: 3 };
  const data = { ...one, by_request: { "POST /x": one }, users: 5, run_time_s: 9, memory_mb: [] };
  const { lines, note } = resultLines({ kind: "loadtest", data });
  assert.equal(lines.at(-1)[0], "all");
  assert.match(note, /5 users, 9 s; memory not measured/);
});
