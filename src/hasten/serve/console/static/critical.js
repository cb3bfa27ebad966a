/** Which spans made the run as long as it was. Pure; follows the run back from its end. */

const SOON_S = 1e-6;

/**
 * The ids of the spans on the critical path: shortening any other would not have
 * made the run shorter. Spans say in `attributes.after` which names they waited
 * for; where they do not, the latest one that ended before is taken.
 */
export function criticalPath(spans) {
  const root = spans.find((span) => span.kind === "run");
  const found = new Set();
  if (root) walk(root, spans, found);
  return found;
}

function walk(parent, spans, found) {
  found.add(parent.id);
  const inside = spans.filter((span) => span.parentId === parent.id && span.endS !== null);
  let here = latest(inside);
  while (here) {
    walk(here, spans, found);
    const { startS } = here;
    const names = here.attributes.after;
    const before = inside.filter((span) => !found.has(span.id) && span.endS <= startS + SOON_S);
    const waited = names?.length ? before.filter((span) => names.includes(span.name)) : before;
    here = latest(waited);
  }
}

const latest = (spans) => spans.reduce((best, span) => (best && best.endS >= span.endS ? best : span), undefined);
