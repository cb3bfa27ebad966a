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
        <${Thumb} />
      </button>
      <button type="button" disabled=${isBusy} aria-label="Dislike ${what}" onClick=${give(BAD)}>
        <${Thumb} isDown />
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

/** A thumb, drawn here: not every machine has a font with one. */
function Thumb({ isDown = false }) {
  return html`
    <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
      <path
        d="M1 7h3v7H1zM5.5 7 8 1.5c1.4 0 2 1 1.7 2.3L9 6.5h4.3c1.2 0 1.8 1 1.5 2.1l-1.2 5.4H5.5z"
        fill="currentColor"
        transform=${isDown ? "rotate(180 8 8)" : undefined}
      />
    </svg>
  `;
}
