import assert from "node:assert/strict";
import { test } from "node:test";

import { partsOf, reportMarkdown } from "../../../src/hasten/serve/console/static/parts.js";

const PHASES = { first: "Profile", second: "Ideas", third: "Advice" };
const model = (section) => ({ kind: "model", attributes: { section } });

const RUN = {
  runId: "run_1",
  status: "running",
  mode: "hasten",
  isSimulated: true,
  endS: 23.9,
  degraded: [{ step: "look_up", reason: "timed out" }],
  spans: [model("Opening"), model("Closing")],
  texts: [
    { section: "Closing", phase: "second", text: "Bye." },
    { section: "Opening", phase: "second", text: "## Hello\n\nHi." },
    { section: "Seen", phase: "first", text: "replaced by the output" },
  ],
  outputs: [
    { name: "profile", phase: "first", value: "# Whole" },
    { name: "figures", phase: "fourth", value: { a: 1 } },
  ],
};

test("a finished part shows its output, one under way its sections in the order they were begun", () => {
  const parts = partsOf(RUN, PHASES);
  assert.deepEqual(
    parts.map((part) => [part.title, part.isDone]),
    [
      ["Profile", true],
      ["Ideas", false],
      ["Fourth", true],
    ],
  );
  assert.ok(partsOf({ ...RUN, status: "cancelled" }, PHASES).every((part) => part.isDone));
  assert.deepEqual(
    parts[0].blocks.map((block) => block.text),
    ["# Whole"],
  );
  assert.deepEqual(
    parts[1].blocks.map((block) => block.text),
    ["## Hello\n\nHi.", "## Closing\n\nBye."],
  );
  assert.match(parts[2].blocks[0].text, /^```json\n\{\n {2}"a": 1\n\}\n```$/);
});

test("the report says where it comes from and what it had to do without", () => {
  const text = reportMarkdown(RUN, { title: "Discovery", phases: PHASES });
  assert.match(
    text,
    /^\*Discovery, hasten, 23\.9\ss \(simulated seconds, simulated model\), run_1\.\*\n\n> Degraded: look up, timed out\n\n# Profile\n\n# Whole\n\n# Ideas/,
  );
  assert.ok(text.endsWith("```\n"));
});
