/** Following a run to its end through as many connections as it takes. */

import { messageOf, type RunMessage } from "./messages.ts";
import { messagesOf } from "./sse.ts";

const RETRY_MS = 2_000;
const RETRY_MOST_MS = 15_000;
const FRUITLESS_MOST = 5;

/**
 * Opens a connection that goes on after the message `lastId`, or from the first. Rejects with
 * an error whose `isFinal` says that asking again is no use.
 */
export type Connect = (lastId: string) => Promise<Pick<Response, "body">>;

/** What a follower may want besides the messages. */
export interface FollowOptions {
  /** Ends the following, in silence; the run goes on. */
  signal?: AbortSignal;
  /** Begins after this message instead of at the first. */
  after?: string;
  /** Hears when the connection breaks and when it is back. */
  onConnection?: (isUp: boolean) => void;
  /** How to wait; for tests. */
  sleep?: (delayMs: number, signal?: AbortSignal) => Promise<void>;
}

/**
 * Yields a run's messages, each once, to its last; a broken connection is followed by another
 * after the last message that came. Throws what is final, or when nothing new comes any more.
 */
export async function* follow(
  connect: Connect,
  { signal, after = "", onConnection = () => {}, sleep = wait }: FollowOptions = {},
): AsyncGenerator<RunMessage, void> {
  let lastId = after;
  let retryMs = RETRY_MS;
  for (let fruitless = 0; !signal?.aborted; ) {
    try {
      const { body } = await connect(lastId);
      onConnection(true);
      if (!body) return; // 204: all of it was seen
      for await (const found of messagesOf(body)) {
        if ("retryMs" in found) {
          retryMs = found.retryMs;
          continue;
        }
        lastId = found.id || lastId;
        fruitless = 0;
        const message = messageOf(found.id, found.event, JSON.parse(found.data));
        yield message;
        if (message.event === "end") return;
      }
    } catch (error) {
      if (signal?.aborted) return;
      if ((error as { isFinal?: boolean }).isFinal) throw error;
    }
    if (signal?.aborted) return;
    fruitless += 1;
    if (fruitless > FRUITLESS_MOST) throw new Error("The run's stream ended before the run did.");
    onConnection(false);
    await sleep(Math.min(retryMs * 2 ** (fruitless - 1), RETRY_MOST_MS), signal);
  }
}

function wait(delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const stop = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
      resolve();
    };
    const timer = setTimeout(stop, delayMs);
    signal?.addEventListener("abort", stop);
  });
}
