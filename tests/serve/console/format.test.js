import assert from "node:assert/strict";
import { test } from "node:test";

import {
  dollars,
  moment,
  number,
  seconds,
  secondsNumber,
  times,
  title,
  words,
} from "../../../src/hasten/serve/console/static/format.js";

test("seconds keep the digits that matter", () => {
  assert.deepEqual([0.6249, 0.999, 8.27, 9.996, 23.94, 99.96, 123.6, null].map(secondsNumber), [
    "0.62",
    "1.0",
    "8.3",
    "10.0",
    "23.9",
    "100",
    "124",
    "–",
  ]);
  assert.equal(seconds(23.94), "23.9\u202fs");
  assert.equal(seconds(null), "–");
});

test("counts, money and ratios", () => {
  assert.deepEqual(
    [number(10900), dollars(0.0583), dollars(12.5), times(3.875), times(12.4)],
    ["10,900", "$0.0583", "$12.50", "3.9×", "12×"],
  );
});

test("names from code become words", () => {
  assert.equal(words("research_market_trends"), "research market trends");
  assert.equal(title("sub_area"), "Sub area");
});

test("a moment of another day says the day", () => {
  const now = new Date(2026, 4, 5, 12, 0, 0);
  assert.equal(moment(new Date(2026, 4, 5, 9, 3, 7) / 1000, now), "09:03:07");
  assert.equal(moment(new Date(2026, 4, 4, 9, 3, 7) / 1000, now), "4 May 09:03");
});
