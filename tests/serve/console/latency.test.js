import assert from "node:assert/strict";
import { test } from "node:test";

import {
  brief,
  cents,
  histogram,
  hitRate,
  limitOf,
  modelsOf,
  snippets,
  stateOf,
} from "../../../src/hasten/serve/console/static/latency.js";

test("short times have the unit that fits, money of one call two digits", () => {
  const times = [0.00042, 0.0123, 0.9999, 1.52, 34, null];
  assert.deepEqual(times.map(brief), ["0.4 ms", "12 ms", "1.0 s", "1.5 s", "34 s", "–"]);
  assert.deepEqual([0.0000234, 0.0232, 0].map(cents), ["$0.000023", "$0.023", "$0"]);
});

test("the hit rate is of the calls that may be hits", () => {
  const of = (calls) => ({ calls });
  const results = { hit: of(6), collapsed: of(1), stale: of(1), miss: of(2), refused: of(90) };
  assert.equal(hitRate(results), 0.8);
  assert.equal(hitRate({ refused: of(1) }), null);
});

test("rows share the buckets that any of them uses, and say where half are done", () => {
  const results = {
    miss: { calls: 3, buckets: [0, 0, 1, 2] },
    hit: { calls: 4, buckets: [0, 4, 0, 0] },
  };
  const { marks, rows } = histogram(results, [0.001, 0.01, 1]);
  assert.deepEqual(marks, ["10 ms", "1.0 s", null]);
  assert.deepEqual(
    rows.map((row) => [row.result, row.median]),
    [
      ["hit", "≤ 10 ms"],
      ["miss", "> 1.0 s"],
    ],
  );
  assert.deepEqual(
    rows[1].bars.map((bar) => bar.share),
    [0, 0.5, 1],
  );
  assert.equal(rows[1].bars[2].label, "2 in over 1.0 s");
  assert.deepEqual(histogram({}, [1]), { marks: [], rows: [] });
});

test("an upstream says whether it rests and what it lets through", () => {
  assert.equal(stateOf({ rests_s: 0 }), "ready");
  assert.equal(stateOf({ rests_s: 12.4 }), "rests 12 s");
  assert.equal(limitOf(null), "as it comes");
  assert.equal(limitOf({ rate_per_s: null, concurrency: 256, under_way: 2 }), "any rate, 256 at once, 2 under way");
  assert.equal(limitOf({ rate_per_s: 8.123, concurrency: 7.9, under_way: 0 }), "8.12/s, 7 at once, 0 under way");
});

test("the lines to copy name this gateway and a model it has", () => {
  const upstreams = [
    { protocol: "openai", models: ["gpt-*", "our-model"] },
    { protocol: "anthropic", models: [] },
  ];
  const models = modelsOf(upstreams);
  assert.deepEqual(models, { chat: "our-model", claude: "claude-sonnet-4-5" });
  const [openai, anthropic, curl] = snippets("http://here:1", models).map((one) => one.text);
  assert.match(openai, /base_url="http:\/\/here:1\/v1"/);
  assert.match(anthropic, /base_url="http:\/\/here:1",/);
  assert.match(curl, /"model": "our-model"/);
  assert.equal(modelsOf([{ protocol: "simulated", models: [] }]).chat, "sim-standard");
});
