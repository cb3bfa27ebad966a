import assert from "node:assert/strict";
import { test } from "node:test";

import {
  axisEndS,
  barsOf,
  groupsOf,
  layOut,
  ticksOf,
} from "../../../src/hasten/serve/console/static/lanes.js";

const span = (id, parentId, kind, name, startS, endS, attributes = {}) => ({
  id,
  parentId,
  kind,
  name,
  startS,
  endS,
  status: "ok",
  attributes,
});

const RUN = {
  lastS: 10,
  critical: [5, 7],
  spans: [
    span(1, null, "run", "demo", 0, 10),
    span(2, 1, "step", "profile_analysis", 0, 4, { phase: "profile" }),
    span(3, 2, "model", "m", 0, 4, {}),
    span(4, 1, "tool", "look_up", 0, 6, { phase: "research" }),
    span(5, 4, "model", "m", 1, 5),
    span(6, 1, "step", "think", 6, 9, { phase: "research" }),
    span(7, 1, "step", "assemble", 9, 9.001, { phase: "research" }),
    span(8, 2, "model", "m", 0, 2, { section: "Core Motivation" }),
    span(9, 2, "cache", "lookup", 0, 0.1),
  ],
};

test("tools, model calls and bare steps are bars; what is inside a tool, too short or no work is not", () => {
  const bars = barsOf(RUN);
  assert.deepEqual(
    bars.map((bar) => [bar.id, bar.label, bar.phase, bar.isCritical]),
    [
      [3, "profile analysis", "profile", false],
      [4, "look up", "research", true],
      [8, "Core Motivation", "profile", false],
      [6, "think", "research", false],
    ],
  );
});

test("bars come by phase, in the application's order, unknown phases last", () => {
  const bars = [
    { id: 1, phase: "later" },
    { id: 2, phase: "b" },
    { id: 3, phase: "a" },
  ];
  const groups = groupsOf(bars, { a: "First", b: "Second", c: "Third" });
  assert.deepEqual(
    groups.map((group) => [group.title, group.bars[0].id]),
    [
      ["First", 3],
      ["Second", 2],
      ["later", 1],
    ],
  );
});

const OPTIONS = { scale: (valueS) => valueS * 10, nowS: 50, widthPx: 500, measure: () => 100 };
const bar = (id, startS, endS) => ({ id, startS, endS });

test("a bar and its label never touch another on the same lane", () => {
  const { lanes, placed } = layOut(
    [bar(1, 0, 5), bar(2, 5, 10), bar(3, 18, 20), bar(4, 45, 50), bar(5, 0, 30)],
    OPTIONS,
  );
  assert.ok(lanes >= 3);
  for (const one of placed) {
    for (const other of placed) {
      if (one.id < other.id && one.lane === other.lane)
        assert.ok(one.to < other.from || other.to < one.from);
    }
  }
});

test("a label goes inside where it fits, else right, else left", () => {
  const sides = layOut([bar(1, 0, 30), bar(2, 0, 5), bar(3, 45, 50)], OPTIONS).placed.map(
    (one) => one.side,
  );
  assert.deepEqual(sides.toSorted(), ["in", "left", "right"]);
});

test("a running bar ends now, and none is too thin to be seen", () => {
  const [running, thin] = layOut([bar(1, 0, null), bar(2, 1, 1)], OPTIONS).placed;
  assert.equal(running.width, 500);
  assert.equal(thin.width, 3);
});

test("the axis grows in steps while runs do, and fits them in the end", () => {
  assert.equal(axisEndS(0, true), 10);
  assert.equal(axisEndS(29, true), 30);
  assert.equal(axisEndS(93, true), 100);
  assert.ok(Math.abs(axisEndS(93, false) - 93.93) < 1e-9);
  assert.equal(axisEndS(9000, true), 10_800);
});

test("ticks are round and do not crowd", () => {
  assert.deepEqual(ticksOf(94, 900), [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]);
  assert.deepEqual(ticksOf(94, 300), [0, 20, 40, 60, 80]);
  assert.deepEqual(ticksOf(0.5, 300), [0, 0.1, 0.2, 0.3, 0.4, 0.5]);
});
