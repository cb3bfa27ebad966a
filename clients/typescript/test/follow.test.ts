import assert from "node:assert/strict";
import { test } from "node:test";

import { follow, type Connect } from "../src/follow.ts";
import { EventParser } from "../src/sse.ts";

const STREAM = [
  ": ping\n",
  "retry: 50\n\n",
  'id: 1\nevent: run\ndata: {"run_id":"r"}\n\n',
  'id: 2\r\ndata: {"text":\r\ndata: "größer"}\r\n\r\n',
  'id: 3\rdata: {"complete":true}\r\r\n',
].join("");

const parsed = (pieces: string[]) => {
  const parser = new EventParser();
  return pieces.flatMap((piece) => parser.push(piece));
};

test("the format is read, whatever ends its lines", () => {
  assert.deepEqual(parsed([STREAM]), [
    { retryMs: 50 },
    { id: "1", event: "run", data: '{"run_id":"r"}' },
    { id: "2", event: "", data: '{"text":\n"größer"}' },
    { id: "3", event: "", data: '{"complete":true}' },
  ]);
});

test("where the network cuts the stream does not matter", () => {
  for (let cut = 1; cut < STREAM.length; cut += 1) {
    assert.deepEqual(
      parsed([STREAM.slice(0, cut), STREAM.slice(cut)]),
      parsed([STREAM]),
      `cut at ${cut}`,
    );
  }
  assert.deepEqual(parsed([...STREAM]), parsed([STREAM]));
});

test("a byte order mark, a message without data and a half message are passed over", () => {
  assert.deepEqual(parsed(["\uFEFFdata: 1\n\nid: 7\nevent: x\n\ndata: half"]), [
    { id: "", event: "", data: "1" },
  ]);
});

/** A connection that gives `pieces` and then ends, or breaks. */
function response(pieces: string[], { isBroken = false } = {}) {
  const encoder = new TextEncoder();
  const body = new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(encoder.encode(piece));
      if (isBroken) controller.error(new TypeError("network error"));
      else controller.close();
    },
  });
  return { body };
}

interface Seen {
  ids: string[];
  messages: unknown[];
  connection: boolean[];
  sleptMs: number[];
  error?: Error;
}

/** Follows through `connections`, one after the other; returns what was seen. */
async function followed(connections: (Pick<Response, "body"> | Error)[]): Promise<Seen> {
  const seen: Seen = { ids: [], messages: [], connection: [], sleptMs: [] };
  const connect: Connect = async (lastId) => {
    seen.ids.push(lastId);
    const next = connections.shift() ?? response([]);
    if (next instanceof Error) throw next;
    return next;
  };
  const messages = follow(connect, {
    onConnection: (isUp) => seen.connection.push(isUp),
    sleep: async (delayMs) => void seen.sleptMs.push(delayMs),
  });
  try {
    for await (const { data } of messages) seen.messages.push(data);
  } catch (error) {
    seen.error = error as Error;
  }
  return seen;
}

test("a stream that ends early is taken up after the last id, at the pace the server asks for", async () => {
  const seen = await followed([
    response(['retry: 70\n\nid: 1\ndata: {"n":1}\n\nid: 2\ndata: {"n":2}\n\ndata: {"n"']),
    new TypeError("refused"),
    response(['id: 3\ndata: {"complete":true,"run_id":"r"}\n\nid: 4\ndata: {"n":4}\n\n']),
  ]);
  assert.equal(seen.error, undefined);
  assert.deepEqual(seen.ids, ["", "2", "2"]);
  assert.deepEqual(seen.messages, [{ n: 1 }, { n: 2 }, { complete: true, run_id: "r" }]);
  assert.deepEqual(seen.connection, [true, false, false, true]);
  assert.deepEqual(seen.sleptMs, [70, 140]);
});

test("what a broken connection had brought counts", async () => {
  const seen = await followed([
    response(['id: 1\ndata: {"n":1}\n\n']),
    response(['id: 2\ndata: {"complete":true}\n\n']),
  ]);
  assert.deepEqual(seen.messages, [{ n: 1 }, { complete: true }]);
});

test("an error that is final ends it at once", async () => {
  const refusal = Object.assign(new Error("no such run"), { isFinal: true });
  const seen = await followed([refusal]);
  assert.equal(seen.error, refusal);
  assert.deepEqual(seen.sleptMs, []);
});

test("who has seen all of a run is told nothing, and waits for nothing", async () => {
  const seen = await followed([{ body: null }]);
  assert.deepEqual([seen.messages, seen.sleptMs, seen.error], [[], [], undefined]);
});

test("a run that never ends is given up when nothing new comes", async () => {
  const seen = await followed([response(['id: 1\ndata: {"n":1}\n\n'])]);
  assert.match(seen.error?.message ?? "", /ended before the run did/);
  assert.equal(seen.ids.length, 6);
});

test("an abort ends it in silence", async () => {
  const stop = new AbortController();
  const connect: Connect = async () => {
    stop.abort();
    throw new TypeError("aborted");
  };
  const told: unknown[] = [];
  const onConnection = (isUp: boolean) => told.push(isUp);
  for await (const message of follow(connect, { onConnection, signal: stop.signal })) told.push(message);
  assert.deepEqual(told, []);
});
