/** Asking the server for what a view shows: at once, when told, when the question is another. */

import { useCallback, useEffect, useState } from "./dom.js";

/**
 * Returns `[answer, askAgain, times]`: what `ask` resolved to last, a function that asks anew, and
 * how often it was called. An answer that comes after a later question is dropped; `onError`
 * hears what the server refuses. `question` is what tells one question from another.
 */
export function useAnswer(ask, { first, question = "", onError }) {
  const [answer, setAnswer] = useState(first);
  const [times, setTimes] = useState(0);
  const askAgain = useCallback(() => setTimes((before) => before + 1), []);
  useEffect(() => {
    let isWanted = true;
    ask().then((found) => isWanted && setAnswer(found), onError);
    return () => {
      isWanted = false;
    };
  }, [question, times]);
  return [answer, askAgain, times];
}

/** For what only admins see: to others it is nothing, and nothing is wrong. */
export function exceptForbidden(error) {
  if (error.status !== 403) throw error;
}
