/**
 * Following a run: server-sent events by fetch, which can carry a key and a body.
 *
 * Owns reading the format and coming back after a broken connection with
 * Last-Event-ID. Leaves what a message means to state.js.
 */

const RETRY_MS = 2_000;
const RETRY_MOST_MS = 15_000;
const FRUITLESS_MOST = 5;

/** Reads the text/event-stream format piece by piece (WHATWG HTML, 9.2.6). */
export class EventParser {
  #rest = "";
  #isFirst = true;
  #event = "";
  #id = "";
  #data = [];

  /** Takes a piece; returns the messages it completes, `{id, event, data}` or `{retryMs}`. */
  push(piece) {
    let text = this.#rest + piece;
    if (this.#isFirst && text) {
      text = text.replace(/^\uFEFF/, "");
      this.#isFirst = false;
    }
    // A lone \r at the very end may be half of \r\n: it waits for the next piece.
    const end = text.endsWith("\r") ? text.length - 1 : text.length;
    const lines = text.slice(0, end).split(/\r\n|\n|\r/);
    this.#rest = lines.pop() + text.slice(end);
    return lines.flatMap((line) => this.#line(line));
  }

  #line(line) {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#event = value;
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    else if (field === "retry" && /^\d+$/.test(value)) return [{ retryMs: Number(value) }];
    return [];
  }

  #dispatch() {
    const message = { id: this.#id, event: this.#event, data: this.#data.join("\n") };
    const hasData = this.#data.length > 0;
    this.#event = "";
    this.#data = [];
    return hasData ? [message] : [];
  }
}

/** Yields the messages of a response's body. */
export async function* messagesOf(body) {
  const parser = new EventParser();
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* parser.push(value);
    }
  } finally {
    reader.cancel().catch(() => {}); // the connection may be gone already
  }
}

/**
 * Follows a run to its last message, calls `onMessage({event, data})` with each,
 * and resolves to the run's id, or to nothing when it was aborted.
 *
 * `connect(lastId)` opens a connection: it resolves to a response, or rejects
 * with an error whose `isFinal` says that asking again is no use.
 * `onConnection(isUp)` hears when it breaks and when it is back.
 */
export async function follow(connect, { onMessage, onConnection, signal, sleep = wait }) {
  const state = { lastId: "", retryMs: RETRY_MS, fruitless: 0 };
  while (!signal.aborted) {
    try {
      const response = await connect(state.lastId);
      onConnection(true);
      const last = await readAll(response, state, onMessage);
      if (last) return last.run_id;
    } catch (error) {
      if (signal.aborted) return undefined;
      if (error.isFinal) throw error;
    }
    state.fruitless += 1;
    if (state.fruitless > FRUITLESS_MOST)
      throw new Error("The run's stream ended before the run did.");
    onConnection(false);
    await sleep(Math.min(state.retryMs * 2 ** (state.fruitless - 1), RETRY_MOST_MS), signal);
  }
  return undefined;
}

/** Reads one connection to its end; returns the run's last message if it came. */
async function readAll(response, state, onMessage) {
  for await (const message of messagesOf(response.body)) {
    if (message.retryMs !== undefined) {
      state.retryMs = message.retryMs;
      continue;
    }
    state.lastId = message.id || state.lastId;
    state.fruitless = 0;
    const data = JSON.parse(message.data);
    onMessage({ event: message.event, data });
    if (data.complete === true) return data;
  }
  return null;
}

function wait(delayMs, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, delayMs);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
