/** What the gateway's calls came to: shares, rows of bars, lines to copy. Pure; gateway.js draws. */

/** The results, those that asked nobody first. */
export const RESULTS = ["hit", "stale", "collapsed", "miss", "bypass", "refused"];

/** A short time in the unit that fits: 0.4 ms, 12 ms, 1.5 s. */
export function brief(seconds) {
  if (seconds == null) return "–";
  if (seconds >= 0.9995) return `${seconds.toFixed(seconds < 9.95 ? 1 : 0)} s`;
  const ms = seconds * 1e3;
  return `${ms.toFixed(ms < 9.95 ? 1 : 0)} ms`;
}

/** The dollars of one call, which are few: two digits that matter. */
export const cents = (usd) => (usd ? `$${Number(usd.toPrecision(2))}` : "$0");

/** The calls that were given what was stored or under way, of those that may be; null if none. */
export function hitRate(results) {
  const count = (names) => names.reduce((sum, name) => sum + (results[name]?.calls ?? 0), 0);
  const reused = count(["hit", "stale", "collapsed"]);
  const all = reused + count(["miss"]);
  return all ? reused / all : null;
}

/**
 * A row for each result there is: `{result, calls, median, bars}`; a bar is `{share, label}`
 * of the row's fullest bucket. All rows have the same buckets, the empty ones at the ends
 * left out; `marks` are their upper bounds, null for what is longer than all.
 */
export function histogram(results, bounds) {
  const rows = RESULTS.filter((name) => results[name]?.calls);
  const columns = [...bounds, null];
  const isUsed = columns.map((_, place) => rows.some((name) => results[name].buckets[place]));
  const [first, last] = [isUsed.indexOf(true), isUsed.lastIndexOf(true)];
  const shown = columns.slice(first, last + 1);
  return {
    marks: shown.map((bound) => (bound === null ? null : brief(bound))),
    rows: rows.map((result) => {
      const { calls, buckets } = results[result];
      const most = Math.max(...buckets);
      return {
        result,
        calls,
        median: medianOf(buckets, bounds),
        bars: buckets.slice(first, last + 1).map((count, place) => ({
          count,
          share: count / most,
          label: `${count} ${rangeOf(bounds, first + place)}`,
        })),
      };
    }),
  };
}

const rangeOf = (bounds, place) =>
  place < bounds.length ? `in up to ${brief(bounds[place])}` : `in over ${brief(bounds.at(-1))}`;

/** Where half of the calls are done, as the bound of a bucket. */
function medianOf(buckets, bounds) {
  const half = buckets.reduce((sum, count) => sum + count, 0) / 2;
  let passed = 0;
  const place = buckets.findIndex((count) => (passed += count) >= half);
  return place < bounds.length ? `≤ ${brief(bounds[place])}` : `> ${brief(bounds.at(-1))}`;
}

/** What is wrong with an upstream or with its key, else that it is ready. */
export const stateOf = ({ rests_s: restsS }) =>
  restsS > 0 ? `rests ${restsS.toFixed(0)} s` : "ready";

/** What the limit in front of an upstream lets through now. */
export function limitOf(limit) {
  if (!limit) return "as it comes";
  const rate = limit.rate_per_s === null ? "any rate" : `${Number(limit.rate_per_s.toPrecision(3))}/s`;
  const most = limit.concurrency === null ? "any number" : Math.floor(limit.concurrency);
  return `${rate}, ${most} at once, ${limit.under_way} under way`;
}

/** How to point a client here: `{name, text}`, for the gateway at `origin` and a model it has. */
export function snippets(origin, models) {
  const [chat, claude] = [models.chat, models.claude].map((name) => JSON.stringify(name));
  const key = "# any key will do until hasten keys create makes one";
  return [
    {
      name: "openai",
      text: [
        "from openai import OpenAI",
        "",
        key,
        `client = OpenAI(base_url="${origin}/v1", api_key="hst_...")`,
        "answer = client.chat.completions.create(",
        `    model=${chat}, messages=[{"role": "user", "content": "What is a lease?"}]`,
        ")",
      ].join("\n"),
    },
    {
      name: "anthropic",
      text: [
        "from anthropic import Anthropic",
        "",
        key,
        `client = Anthropic(base_url="${origin}", api_key="hst_...")`,
        "answer = client.messages.create(",
        `    model=${claude}, max_tokens=300,`,
        '    messages=[{"role": "user", "content": "What is a lease?"}],',
        ")",
      ].join("\n"),
    },
    {
      name: "curl",
      text: [
        key,
        `curl ${origin}/v1/chat/completions \\`,
        '  -H "Authorization: Bearer hst_..." -H "Content-Type: application/json" \\',
        `  -d '{"model": ${chat}, "messages": [{"role": "user", "content": "What is a lease?"}]}'`,
      ].join("\n"),
    },
  ];
}

/** A model of each protocol for a snippet: the first that an upstream names, else a known one. */
export function modelsOf(upstreams) {
  const isSimulated = upstreams.every((one) => one.protocol === "simulated");
  const named = (protocol) =>
    upstreams
      .filter((one) => one.protocol === protocol)
      .flatMap((one) => one.models)
      .find((name) => !/[*?[]/.test(name));
  return {
    chat: named("openai") ?? (isSimulated ? "sim-standard" : "gpt-4o-mini"),
    claude: named("anthropic") ?? (isSimulated ? "sim-standard" : "claude-sonnet-4-5"),
  };
}
