// The AI SDK (Vercel) with its own telemetry; versions 5 and 6 are written alike.
import { createOpenAI } from "@ai-sdk/openai";
import { embedMany, generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { ORDER, QUESTION, QUESTION_RU, SESSION, SYSTEM, SYSTEM_RU, USER, otelProvider, scene } from "./stage.mjs";

const root = process.argv[2];
const provider = otelProvider();
const openai = createOpenAI({ baseURL: `${root}/v1`, apiKey: "sk-none" });
const telemetry = { isEnabled: true, functionId: "shop" };
const common = { experimental_telemetry: telemetry, maxRetries: 0 };
const play = (name, what) => scene(root, () => provider.forceFlush(), name, what);
const getOrderStatus = tool({
  description: "Where an order is",
  inputSchema: z.object({ order: z.string() }),
  execute: async ({ order }) => `${order} has been shipped`,
});

await play("chat", () => generateText({ ...common, model: openai.chat("gpt-5-mini"), system: SYSTEM, prompt: QUESTION }));
await play("chat_ru", () => generateText({ ...common, model: openai.chat("gpt-4o"), system: SYSTEM_RU, prompt: QUESTION_RU }));
await play("chat_stream", async () => {
  const { textStream } = streamText({ ...common, model: openai.chat("gpt-4o-mini"), system: SYSTEM, prompt: QUESTION });
  for await (const _ of textStream);
});
await play("chat_stream_abort", async () => {
  const control = new AbortController();
  const model = openai.chat("gpt-4o-mini");
  const { textStream } = streamText({ ...common, model, prompt: QUESTION, abortSignal: control.signal });
  for await (const _ of textStream) control.abort();
});
await play("chat_stream_error", async () => {
  const { textStream } = streamText({ ...common, model: openai.chat("err-midstream"), prompt: QUESTION, onError() {} });
  for await (const _ of textStream);
});
await play("tools", () =>
  generateText({
    ...common, model: openai.chat("gpt-4.1-mini"), prompt: ORDER, tools: { get_order_status: getOrderStatus },
    stopWhen: stepCountIs(3),
  }),
);
await play("embeddings", () => embedMany({ ...common, model: openai.embedding("text-embedding-3-small"), values: ["rain", "дождь"] }));
await play("error_500", () => generateText({ ...common, model: openai.chat("err-500"), prompt: QUESTION }));
await play("session_user", () =>
  generateText({
    ...common, model: openai.chat("gpt-4o-mini"), prompt: QUESTION,
    experimental_telemetry: { ...telemetry, metadata: { sessionId: SESSION, userId: USER, plan: "pro" } },
  }),
);
await play("responses", () => generateText({ ...common, model: openai.responses("gpt-5-mini"), system: SYSTEM, prompt: QUESTION }));
await provider.shutdown();
