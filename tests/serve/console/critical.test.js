import assert from "node:assert/strict";
import { test } from "node:test";

import { criticalPath } from "../../../src/hasten/serve/console/static/critical.js";

const span = (id, parentId, name, startS, endS, after) => ({ id, parentId, kind: parentId ? "step" : "run", name, startS, endS, attributes: after ? { after } : {} });
const ids = (spans) => [...criticalPath(spans)].sort((a, b) => a - b);

test("one after the other, everything is critical", () => {
  assert.deepEqual(ids([span(1, null, "run", 0, 9), span(2, 1, "a", 0, 3), span(3, 1, "b", 3, 9)]), [1, 2, 3]);
});

test("side by side, only the longest is, and what it waited for", () => {
  const spans = [
    span(1, null, "run", 0, 10),
    span(2, 1, "short", 0, 1),
    span(3, 1, "long", 0, 4),
    span(4, 1, "other", 0, 9),
    span(5, 1, "last", 4, 10, ["short", "long"]),
  ];
  assert.deepEqual(ids(spans), [1, 3, 5]);
});

test("a step waits for what it names, not for what happened to end just before", () => {
  const spans = [span(1, null, "run", 0, 10), span(2, 1, "cause", 0, 3), span(3, 1, "chance", 0, 4.9), span(4, 1, "last", 5, 10, ["cause"])];
  assert.deepEqual(ids(spans), [1, 2, 4]);
});

test("inside a critical step the path goes on among its parts", () => {
  const spans = [span(1, null, "run", 0, 9), span(2, 1, "step", 0, 9), span(3, 2, "tool", 0, 4), span(4, 2, "quick", 0, 1), span(5, 2, "model", 4, 9)];
  assert.deepEqual(ids(spans), [1, 2, 3, 5]);
});

test("spans that take no time do not lead in circles", () => {
  assert.deepEqual(ids([span(1, null, "run", 0, 0), span(2, 1, "a", 0, 0), span(3, 1, "b", 0, 0)]), [1, 2, 3]);
});

test("no run, no path", () => {
  assert.deepEqual(ids([]), []);
});
