/** What a person thinks of an answer or a block of it: two thumbs, and having it made anew. */

import { html, useState } from "./dom.js";
import { rate, regenerate } from "./api.js";

const GOOD = 10;
const BAD = 1;

/** `block` is empty for the whole answer; `onAnew` is given the id of the run that makes it anew. */
export function Opinion({ run, block = "", onAnew }) {
  const [said, setSaid] = useState("");
  const [isBusy, setIsBusy] = useState(false);
  const what = block ? `the part ${block}` : "the answer";
  const doing = (work) => async () => {
    setIsBusy(true);
    await work().catch((error) => setSaid(error.message));
    setIsBusy(false);
  };
  const give = (rating) => doing(() => rate(run.runId, { block, rating }).then(() => setSaid("Noted")));
  const anew = doing(async () => onAnew((await regenerate(run.runId, { block })).run_id));
  return html`
    <span class="opinion">
      <span class="quiet" role="status">${said}</span>
      <button type="button" disabled=${isBusy} aria-label="Like ${what}" onClick=${give(GOOD)}>
        👍
      </button>
      <button type="button" disabled=${isBusy} aria-label="Dislike ${what}" onClick=${give(BAD)}>
        👎
      </button>
      <button
        type="button"
        disabled=${isBusy}
        aria-label="Regenerate ${what}"
        onClick=${anew}
      >
        Regenerate
      </button>
    </span>
  `;
}
