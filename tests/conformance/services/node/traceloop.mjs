// The Traceloop SDK for JavaScript on the OpenAI client.
import * as traceloop from "@traceloop/node-server-sdk";
import OpenAI from "openai";
import { ORDER, QUESTION, QUESTION_RU, SESSION, SYSTEM, SYSTEM_RU, USER, scene } from "./stage.mjs";

const root = process.argv[2];
traceloop.initialize({
  appName: "shop", baseUrl: root, apiKey: "k", disableBatch: true, instrumentModules: { openAI: OpenAI },
  silenceInitializationMessage: true,
});
const client = new OpenAI({ baseURL: `${root}/v1`, apiKey: "sk-none", maxRetries: 0 });
const chat = (body) => client.chat.completions.create(body);
const said = (role, content) => ({ role, content });
const play = (name, what) => scene(root, () => traceloop.forceFlush(), name, what);
const getOrderStatus = {
  type: "function",
  function: { name: "get_order_status", parameters: { type: "object", properties: { order: { type: "string" } } } },
};

await play("chat", () => chat({ model: "gpt-5-mini", messages: [said("system", SYSTEM), said("user", QUESTION)] }));
await play("chat_ru", () => chat({ model: "gpt-4o", messages: [said("system", SYSTEM_RU), said("user", QUESTION_RU)] }));
await play("chat_stream", async () => {
  const options = { stream: true, stream_options: { include_usage: true } };
  for await (const _ of await chat({ model: "gpt-4o-mini", messages: [said("user", QUESTION)], ...options }));
});
await play("tools", async () => {
  const asked = [said("user", ORDER)];
  const answer = await chat({ model: "gpt-4.1-mini", messages: asked, tools: [getOrderStatus] });
  const message = answer.choices[0].message;
  asked.push(message, { role: "tool", tool_call_id: message.tool_calls[0].id, content: '{"status": "shipped"}' });
  await chat({ model: "gpt-4.1-mini", messages: asked, tools: [getOrderStatus] });
});
await play("embeddings", () => client.embeddings.create({ model: "text-embedding-3-small", input: ["rain"] }));
await play("error_500", () => chat({ model: "err-500", messages: [said("user", QUESTION)] }));
await play("session_user", () =>
  traceloop.withAssociationProperties({ session_id: SESSION, user_id: USER }, () =>
    traceloop.withWorkflow({ name: "shop" }, () => chat({ model: "gpt-4o-mini", messages: [said("user", QUESTION)] })),
  ),
);
