/**
 * From spans to bars in lanes: what is drawn, what it is called, and on which line.
 *
 * Pure; knows pixels only through a scale and a way to measure text. Leaves
 * drawing to waterfall.js.
 */

import { words } from "./format.js";
import { spanPhase } from "./state.js";

const LEAST_PX = 3;
const LEAST_SHARE = 0.001;
const LABEL_GAP_PX = 6;
const LETTER_PX = 5;
const LANE_GAP_PX = 10;

/**
 * The bars of a run: its tools, its model calls, and the steps that have neither and
 * take time. A tool's own model calls are part of the tool, on the critical path as well.
 */
export function barsOf(run) {
  const shown = run.spans.filter(
    (span) => span.kind === "tool" || (span.kind === "model" && !inTool(run, span)),
  );
  const covered = new Set(shown.flatMap((span) => ancestors(run, span).map((one) => one.id)));
  const steps = run.spans.filter(
    (span) => span.kind === "step" && !covered.has(span.id) && isSeen(run, span),
  );
  const onPath = run.spans.filter((span) => run.critical.includes(span.id));
  const critical = new Set(
    onPath.flatMap((span) => [span, ...ancestors(run, span)].map((one) => one.id)),
  );
  return [...shown, ...steps].map((span) => ({
    ...span,
    label: labelOf(run, span),
    phase: spanPhase(run, span),
    isCritical: critical.has(span.id),
  }));
}

/** A step that only puts together what others made is too short to be seen. */
const isSeen = (run, { startS, endS, status }) =>
  endS === null || status !== "ok" || endS - startS >= run.lastS * LEAST_SHARE;

function ancestors(run, span) {
  const found = [];
  for (let id = span.parentId; id != null;) {
    const parent = run.spans.find((one) => one.id === id);
    if (!parent) break;
    found.push(parent);
    id = parent.parentId;
  }
  return found;
}

const inTool = (run, span) => ancestors(run, span).some((one) => one.kind === "tool");

/** A model call is called after the section it writes, its task, or the step it is made by. */
function labelOf(run, span) {
  if (span.kind !== "model") return words(span.name);
  const { section, task } = span.attributes;
  const step = ancestors(run, span).find((one) => one.kind === "step");
  return words(section || task || step?.name || span.name);
}

/** Bars by phase, in the order of `phases`; those of a phase not named there come last. */
export function groupsOf(bars, phases) {
  const order = Object.keys(phases);
  const named = new Map(order.map((phase) => [phase, []]));
  for (const bar of bars) {
    if (!named.has(bar.phase)) named.set(bar.phase, []);
    named.get(bar.phase).push(bar);
  }
  return [...named]
    .filter(([, inside]) => inside.length)
    .map(([phase, inside]) => ({
      phase,
      title: phases[phase] ?? words(phase || "other"),
      bars: inside,
    }));
}

/**
 * Puts bars on lanes, each on the first where neither it nor its label touches another.
 *
 * `scale` turns seconds into pixels, `nowS` is where running bars end, `widthPx`
 * is all there is, `measure(text)` gives a label's width. Returns `{lanes, placed}`,
 * each placed bar with `x`, `width`, `lane` and where its label goes.
 */
export function layOut(bars, { scale, nowS, widthPx, measure }) {
  const lanes = [];
  const sorted = [...bars].sort((a, b) => a.startS - b.startS || a.id - b.id);
  const placed = sorted.map((bar) => {
    const spot = spotOf(bar, { scale, nowS, widthPx, measure });
    let lane = lanes.findIndex((taken) =>
      taken.every(([from, to]) => spot.to < from || spot.from > to),
    );
    if (lane < 0) lane = lanes.push([]) - 1;
    lanes[lane].push([spot.from, spot.to + LANE_GAP_PX]);
    return { ...bar, ...spot, lane };
  });
  return { lanes: lanes.length, placed };
}

/** Where a bar and its label go: inside if it fits, else right, else left, else cut. */
function spotOf(bar, { scale, nowS, widthPx, measure }) {
  const x = scale(bar.startS);
  const width = Math.max(LEAST_PX, scale(bar.endS ?? nowS) - x);
  const label = measure(bar) + LABEL_GAP_PX;
  if (label + LABEL_GAP_PX <= width)
    return { x, width, side: "in", from: x, to: x + width, label: bar.label };
  const [roomLeft, roomRight] = [x, widthPx - x - width];
  const side = label <= roomRight || roomRight >= roomLeft ? "right" : "left";
  const room = side === "right" ? roomRight : roomLeft;
  const shown = Math.min(label, room);
  const ends =
    side === "right" ? { from: x, to: x + width + shown } : { from: x - shown, to: x + width };
  return {
    x,
    width,
    side,
    ...ends,
    label: label <= room ? bar.label : cut(bar.label, label - room),
  };
}

/** A label without its last letters, about `excessPx` of them. */
const cut = (label, excessPx) =>
  `${label.slice(0, Math.max(1, label.length - Math.ceil(excessPx / LETTER_PX) - 1)).trimEnd()}…`;

const NICE = [
  10, 15, 20, 30, 40, 50, 60, 75, 100, 125, 150, 200, 250, 300, 400, 500, 600, 900, 1200, 1800,
  3600,
];

/** How many seconds the shared axis shows: in steps while runs grow, the longest in the end. */
export function axisEndS(longestS, isLive) {
  if (!isLive && longestS > 0) return longestS * 1.01;
  return NICE.find((end) => end >= longestS * 1.02) ?? longestS * 1.2;
}

/** The marks of an axis: round numbers, at least `apartPx` from each other. */
export function ticksOf(endS, widthPx, apartPx = 56) {
  const least = (endS * apartPx) / Math.max(widthPx, 1);
  const magnitude = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((factor) => factor * magnitude).find((one) => one >= least);
  const count = Math.floor(endS / step + 1e-9);
  return Array.from({ length: count + 1 }, (_, place) => Number((place * step).toFixed(6)));
}
