import assert from "node:assert/strict";
import { test } from "node:test";

import {
  fieldsOf,
  inputsOf,
  startValues,
  withValue,
} from "../../../src/hasten/serve/console/static/schema.js";

const SCHEMA = {
  type: "object",
  required: ["goal", "area", "part", "story"],
  $defs: { Goal: { enum: ["income", "change"], type: "string", title: "Goal" } },
  properties: {
    goal: { $ref: "#/$defs/Goal", description: "What for." },
    area: { enum: ["food", "work"], title: "Area", type: "string" },
    part: { type: "string", title: "Part" },
    story: { type: "string", maxLength: 20_000, title: "Your story" },
    team_size: {
      anyOf: [{ type: "integer" }, { type: "null" }],
      default: null,
      title: "Team Size",
    },
    is_public: { type: "boolean", default: false, title: "Is Public" },
  },
  allOf: [
    {
      if: { properties: { area: { const: "food" } } },
      then: { properties: { part: { enum: ["bread", "soup"] } } },
    },
    {
      if: { properties: { area: { const: "work" } } },
      then: { properties: { part: { enum: ["tools"] } } },
    },
  ],
};

test("fields know their words, vocabularies and sizes", () => {
  const fields = Object.fromEntries(
    fieldsOf(SCHEMA, { area: "food" }).map((field) => [field.name, field]),
  );
  assert.deepEqual(Object.keys(fields), [
    "goal",
    "area",
    "part",
    "story",
    "team_size",
    "is_public",
  ]);
  assert.deepEqual(fields.goal.options, ["income", "change"]);
  assert.equal(fields.goal.hint, "What for.");
  assert.deepEqual(fields.part.options, ["bread", "soup"]);
  assert.equal(fields.story.title, "Your story");
  assert.equal(fields.story.isLong, true);
  assert.deepEqual(
    [fields.team_size.title, fields.team_size.type, fields.team_size.isRequired],
    ["Team size", "integer", false],
  );
});

test("a field whose vocabulary depends on another is free as long as that is not chosen", () => {
  assert.equal(fieldsOf(SCHEMA, {}).find((field) => field.name === "part").options, null);
});

test("changing a field repairs the one that depends on it", () => {
  const values = { area: "food", part: "soup" };
  assert.deepEqual(withValue(SCHEMA, values, "area", "work"), { area: "work", part: "tools" });
  assert.deepEqual(withValue(SCHEMA, values, "part", "bread"), { area: "food", part: "bread" });
});

test("values begin with the sample, then the defaults", () => {
  assert.deepEqual(startValues(SCHEMA, { goal: "income" }), {
    goal: "income",
    area: "",
    part: "",
    story: "",
    team_size: "",
    is_public: false,
  });
});

test("numbers are sent as numbers, and empty optional fields not at all", () => {
  const values = {
    goal: "income",
    area: "food",
    part: "soup",
    story: "",
    team_size: "3",
    is_public: true,
  };
  assert.deepEqual(inputsOf(SCHEMA, values), { ...values, team_size: 3 });
  assert.equal("team_size" in inputsOf(SCHEMA, { ...values, team_size: "" }), false);
  assert.equal(inputsOf(SCHEMA, { ...values, team_size: "many" }).team_size, "many");
});
