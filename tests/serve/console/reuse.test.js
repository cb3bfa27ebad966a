import assert from "node:assert/strict";
import { test } from "node:test";

import {
  age,
  reusedShare,
  reuseOf,
  shares,
  size,
} from "../../../src/hasten/serve/console/static/reuse.js";

test("ages and sizes have one unit", () => {
  const ages = [0, 59.9, 60, 7_199, 7_200, 86_400 * 3.5, null];
  assert.deepEqual(ages.map(age), ["0 s", "59 s", "1 min", "1 h", "2 h", "3 d", "–"]);
  assert.deepEqual([900, 12_345, 2_500_000].map(size), ["0.9 kB", "12.3 kB", "2.5 MB"]);
});

test("the shares of a use add up to one, and only misses were computed", () => {
  const use = { hits: 5, stale: 1, collapsed: 2, misses: 2 };
  assert.equal(
    shares(use).reduce((sum, { share }) => sum + share, 0),
    1,
  );
  assert.ok(Math.abs(reusedShare(use) - 0.8) < 1e-9);
  assert.equal(reusedShare({ hits: 0, stale: 0, collapsed: 0, misses: 0 }), 0);
});

test("a run that reused nothing says nothing", () => {
  assert.equal(reuseOf({ reuse: null }), null);
  assert.equal(reuseOf({ reuse: { fresh_share: 1, fresh_components: { top: 0 } } }), null);
});

test("a report of blocks names the fresh ones and the age of the others", () => {
  const reuse = {
    fresh_share: 0.421,
    cached_components: { idea_risks: 7_300 },
    fresh_components: { summary: 0 },
  };
  const told = reuseOf({ reuse });
  assert.match(told.text, /^42 % /);
  assert.deepEqual(told.blocks, [
    { name: "summary", isFresh: true, label: "fresh" },
    { name: "idea risks", isFresh: false, label: "2 h old" },
  ]);
});

test("a rerun says when it was computed", () => {
  const components = { fresh_components: { summary: 0 }, cached_components: { idea_risks: 9 } };
  const told = reuseOf({ reuse: { cached: true, cached_at_s: Date.now() / 1000, ...components } });
  assert.match(told.text, /^The same inputs as before: the answer of \d\d:\d\d:\d\d\.$/);
  assert.deepEqual(told.blocks, []);
});
