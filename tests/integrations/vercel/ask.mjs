// The Vercel AI SDK, asked for everything it can ask; prints one JSON line.
// Called by test_vercel.py with the endpoint's root.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { embed, generateObject, generateText, streamText, tool } from "ai";
import { z } from "zod";

const root = process.argv[2];
const openai = createOpenAI({ baseURL: `${root}/v1`, apiKey: "any" });
const anthropic = createAnthropic({ baseURL: `${root}/v1`, apiKey: "any" });
const prompt = "Work style: Solo\nWrite the section 'Risks' in about 60 words.";
const schema = z.object({ name: z.string(), score: z.number().int().min(1).max(10) });
const rate = tool({ description: "Rate it.", inputSchema: schema });

async function ask(model) {
  const whole = await generateText({ model, prompt, maxRetries: 0 });
  let streamed = "";
  for await (const piece of streamText({ model, prompt, maxRetries: 0 }).textStream) {
    streamed += piece;
  }
  const { object } = await generateObject({ model, prompt, schema, maxRetries: 0 });
  const called = await generateText({
    model, prompt, tools: { rate }, toolChoice: "required", maxRetries: 0,
  });
  return {
    text: whole.text,
    streamed,
    tokens: whole.usage.outputTokens,
    object,
    call: called.toolCalls[0].input,
  };
}

const { embedding } = await embed({
  model: openai.textEmbeddingModel("text-embedding-3-small"), value: prompt, maxRetries: 0,
});
console.log(JSON.stringify({
  chat: await ask(openai.chat("gpt-4o")),
  responses: await ask(openai.responses("gpt-4o")),
  messages: await ask(anthropic("claude-sonnet-4-5")),
  dimensions: embedding.length,
}));
