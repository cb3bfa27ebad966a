import assert from "node:assert/strict";
import { test } from "node:test";

import { show, TEA, until, URL_OF_SERVER } from "./page.ts";
import { messagesOf } from "../../src/sse.ts";

/** Starts a run in another protocol and gives its messages. */
async function told(format: string, inputs: object = {}): Promise<any[]> {
  const response = await fetch(`${URL_OF_SERVER}/api/run/stream?format=${format}&pace=0`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ...TEA, inputs: { ...TEA.inputs, ...inputs }, speed: 200 }),
  });
  const found = [];
  for await (const message of messagesOf(response.body!)) {
    if ("data" in message) found.push(JSON.parse(message.data));
  }
  return found;
}

test("stock useChat reads a run in format=ai-sdk", async () => {
  const { useChat } = await import("@ai-sdk/react");
  const { DefaultChatTransport } = await import("ai");
  const transport = new DefaultChatTransport({
    api: `${URL_OF_SERVER}/api/run/stream?format=ai-sdk`,
    prepareSendMessagesRequest: ({ messages }) => {
      const [part] = messages.at(-1)!.parts;
      const note = part?.type === "text" ? part.text : "";
      return { body: { app: "toy", inputs: { topic: "tea", note }, speed: 50 } };
    },
  });
  let chat: any;
  const Page = () => {
    chat = useChat({ transport, onError: (error) => assert.fail(error) });
    return null;
  };
  const leave = await show(Page);
  await chat.sendMessage({ text: "how is it?" });
  await until(() => chat.status === "ready" && chat.messages.length === 2, "an answer");
  const { parts, metadata } = chat.messages[1];
  assert.equal(metadata.status, "complete");
  assert.ok(parts.some((part: any) => part.type === "text" && part.state === "done" && part.text));
  const output = parts.find((part: any) => part.type === "data-output");
  assert.match(output.data.value, /facts about tea/);
  // The same again is a rerun: kept, and told as text all the same.
  await chat.sendMessage({ text: "how is it?" });
  await until(() => chat.status === "ready" && chat.messages.length === 4, "a kept answer");
  const texts = chat.messages[3].parts.filter((part: any) => part.type === "text");
  assert.equal(texts.map((part: any) => part.text).join(""), output.data.value);
  await leave();
});

for (const trouble of ["", "tool", "answer"]) {
  test(`format=ag-ui satisfies the protocol's own schemas (trouble: ${trouble || "none"})`, async () => {
    const { EventSchemas } = await import("@ag-ui/core/schemas");
    const events = await told("ag-ui", { trouble });
    for (const event of events) EventSchemas.parse(event);
    assert.equal(events[0].type, "RUN_STARTED");
    assert.equal(events.at(-1).type, trouble === "answer" ? "RUN_ERROR" : "RUN_FINISHED");
    const open = new Set();
    for (const { type, messageId } of events) {
      if (type === "TEXT_MESSAGE_START") open.add(messageId);
      if (type === "TEXT_MESSAGE_CONTENT") assert.ok(open.has(messageId));
    }
  });
}
