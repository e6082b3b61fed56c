// What the services in JavaScript share: scenarios, and the plain OpenTelemetry SDK set up by OTEL_* variables.
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";

export const SYSTEM =
  "You are the assistant of a shop for rain clothes. Answer in one or two sentences, in the language of the question. " +
  "Returns are accepted within 14 days, unworn, with the receipt; shipping abroad takes five to nine working days and " +
  "costs 12 euros; jackets come in sizes XS to XXL, trousers by waist and length. Never promise a refund that the rules " +
  "do not give; never ask for a card number; offer the number of the office when somebody is angry. Repairs of zips are " +
  "free in the first two years, patches are sold at the counter, and wax for cotton is sold in tins of 200 grams only.";
export const QUESTION = "How do I return my rain jacket?";
export const QUESTION_RU = "Здравствуйте! Как вернуть дождевик, если он не подошёл?";
export const SYSTEM_RU = "Отвечай кратко и вежливо.";
export const ORDER = "Where is my order A-1001?";
export const SESSION = "session-7";
export const USER = "user-42";
const SETTLE_MS = 300;

export function otelProvider() {
  const provider = new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())] });
  provider.register();
  return provider;
}

const waited = () => new Promise((done) => setTimeout(done, SETTLE_MS));

export async function scene(root, flush, name, play) {
  await fetch(`${root}/scenario/${name}`, { method: "POST" });
  try {
    await play();
  } catch (error) {
    console.error(`${name}: ${error}`);
  }
  await waited();
  await flush();
  await waited();
}
