/** What a check, an experiment or a load test found, as lines of a table. Pure. */

import { number, seconds, words } from "./format.js";

/** A figure in its unit, as people read it. */
export function figure(value, unit) {
  if (value == null) return "–";
  if (unit === "s") return value < 0.1 ? `${(value * 1e3).toFixed(0)} ms` : seconds(value);
  if (unit === "ms") return `${value.toFixed(0)} ms`;
  const shown = Math.abs(value) >= 1000 ? number(Math.round(value)) : Number(value.toPrecision(3));
  return `${shown} ${unit}`.trim();
}

/** A share as a percentage. */
export const percent = (share) => `${(share * 100).toFixed(1)} %`;

/** `{heads, lines, note}`: a table's heads, its lines, and what is said below it. */
export const resultLines = (result) => LINES[result.kind](result.data);

const bound = (one) =>
  one.at_most == null ? `≥ ${figure(one.at_least, one.unit)}` : `≤ ${figure(one.at_most, one.unit)}`;

const LINES = {
  check: ({ readings }) => ({
    heads: ["Figure", "Baseline", "Measured", "Plan", "Bound", ""],
    lines: readings.map((one) => [
      one.about,
      figure(one.baseline, one.unit),
      figure(one.value, one.unit),
      one.plan,
      bound(one),
      one.is_held ? "held" : `missed ${one.why}`,
    ]),
    note: "",
  }),

  experiment: (data) => ({
    heads: ["Check", "Baseline", "Variant"],
    lines: Object.entries(data.scores).map(([name, [before, after]]) => [
      words(name),
      before.toFixed(2),
      after.toFixed(2),
    ]),
    note: experimentNote(data),
  }),

  loadtest: (data) => ({
    heads: ["Request", "Requests", "Failed", "A second", "P50", "P95", "P99"],
    lines: Object.entries({ ...data.by_request, all: data }).map(([name, one]) => [
      name,
      number(one.requests),
      number(one.failures),
      one.requests_per_s.toFixed(1),
      figure(one.p50_s, "s"),
      figure(one.p95_s, "s"),
      figure(one.p99_s, "s"),
    ]),
    note: `${number(data.users)} users, ${data.run_time_s} s; ${memoryNote(data.memory_mb)}`,
  }),
};

function experimentNote({ quality, at_least: atLeast, conclusion, pairs, saved }) {
  const [estimate, low, high] = quality;
  const spared = Object.entries(saved)
    .map(([name, share]) => `${words(name)} ${percent(share)}`)
    .join(", ");
  return (
    `Quality ${percent(estimate)} of the baseline’s (${percent(low)} to ${percent(high)}, ` +
    `${percent(atLeast)} wanted), ${number(pairs)} pairs: ${conclusion}. Saved: ${spared}.`
  );
}

const memoryNote = (weights) =>
  weights.length
    ? `memory ${weights[0]} MB at first, ${weights.at(-1)} at last, at most ${Math.max(...weights)}`
    : "memory not measured";
