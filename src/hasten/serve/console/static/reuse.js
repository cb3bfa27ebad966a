/** What was computed before, in words. Pure; report.js and cache.js draw it. */

import { moment, words } from "./format.js";

const UNITS = [
  [86_400, "d"],
  [3_600, "h"],
  [60, "min"],
];

/** An age or a rest of time in one unit: 12 s, 3 min, 2 h, 5 d. */
export function age(seconds) {
  if (seconds == null) return "–";
  const found = UNITS.find(([length]) => seconds >= length);
  return found ? `${Math.floor(seconds / found[0])} ${found[1]}` : `${Math.floor(seconds)} s`;
}

/** Bytes in kB or MB. */
export function size(bytes) {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/**
 * The shares of a use's calls: `{part, count, share}` of those that came from the cache
 * fresh, stale, from another's computation, and of those that were computed.
 */
export function shares(use) {
  const counts = [
    ["hits", use.hits],
    ["stale", use.stale],
    ["collapsed", use.collapsed],
    ["misses", use.misses],
  ];
  const total = counts.reduce((sum, [, count]) => sum + count, 0);
  return counts.map(([part, count]) => ({ part, count, share: total ? count / total : 0 }));
}

/** The part of a use's calls that nothing was computed for, from 0 to 1. */
export const reusedShare = (use) =>
  shares(use).reduce((sum, { part, share }) => sum + (part === "misses" ? 0 : share), 0);

/**
 * What a run says of its reuse, for a reader: `{text, blocks}`, or null when all of it
 * is new. `blocks` are `{name, isFresh, label}`, those made for this answer first.
 */
export function reuseOf({ reuse }) {
  if (reuse?.cached) {
    const as = reuse.collapsed ? "as a run under way" : "as before";
    const text = `The same inputs ${as}: the answer of ${moment(reuse.cached_at_s)}.`;
    return { text, blocks: [] };
  }
  const old = blocksOf(reuse?.cached_components, (ageS) => `${age(ageS)} old`);
  if (!old.length) return null;
  const fresh = blocksOf(reuse.fresh_components, () => "fresh");
  const share = Math.round(reuse.fresh_share * 100);
  return { text: `${share} % of this report was written for this request.`, blocks: [...fresh, ...old] };
}

const blocksOf = (components, labelOf) =>
  Object.entries(components ?? {}).map(([name, ageS]) => ({
    name: words(name),
    isFresh: labelOf(ageS) === "fresh",
    label: labelOf(ageS),
  }));

/** What can be dropped by, each with a word to show how it is written. */
export const SELECTORS = {
  tag: "market:AI",
  field: "interest_area=AI",
  use: "a use's name",
  user: "a person",
  session: "a session",
  pattern: "*AI*",
  key: "an entry's key",
};
