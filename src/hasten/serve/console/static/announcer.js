/** Says in words, for those who do not see it, what begins and what ends. */

import { html, useEffect, useRef, useState } from "./dom.js";
import { seconds, times, title } from "./format.js";
import { isOver, speedup } from "./state.js";

export function Announcer({ runs }) {
  const before = useRef([]);
  const [said, setSaid] = useState("");
  const now = runs.map((run) => `${run.runId} ${run.status}`);
  useEffect(() => {
    const had = before.current;
    before.current = now;
    const news = runs.filter((run, place) => run.runId && !had.includes(now[place])).map(sentence);
    const found = speedup(runs, 0);
    if (news.length && found?.isFinal) news.push(`${times(found.ratio)} as fast.`);
    if (news.length) setSaid(news.join(" "));
  }, [now.join()]);
  return html`<p class="unseen" aria-live="polite">${said}</p>`;
}

function sentence(run) {
  if (!isOver(run)) return `${title(run.mode)} has begun.`;
  const unit = run.isSimulated ? " simulated" : "";
  return `${title(run.mode)}: ${run.status} after ${seconds(run.endS)}${unit}.`;
}
