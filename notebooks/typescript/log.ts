/**
 * One question, and a record of it for LOGGING_ENDPOINT: where the workbench's own requests go too.
 *
 *     workbench telemetry serve                        # or any other place that takes JSON
 *     LOGGING_ENDPOINT=http://localhost:5000/logs npx tsx log.ts "What is a KV cache?"
 */

import { randomUUID } from "node:crypto";

import { request } from "./request.ts";
import { baseURL, client } from "./server.ts";

const endpoint = process.env.LOGGING_ENDPOINT || "http://localhost:5000/logs";
const token = process.env.LOGGING_ENDPOINT_TOKEN;

const timestamp = new Date().toISOString();
const sent = performance.now();
const seconds = () => (performance.now() - sent) / 1000;

// What is not known is undefined, and JSON leaves it out.
const facts: Record<string, string | number | undefined> = { num_chunks: 0 };
let failure: unknown;
try {
  await ask();
} catch (error) {
  failure = error;
}
await log({ ...facts, ...ending(), duration_s: seconds() });
if (failure) throw failure;

/** Write the answer as it comes, and note when. */
async function ask(): Promise<void> {
  const options = { stream: true as const, stream_options: { include_usage: true } };
  for await (const chunk of await client.chat.completions.create({ ...request, ...options })) {
    const choice = chunk.choices[0];
    if (choice?.delta.content) {
      facts.ttft_s ??= seconds();
      facts.e2e_latency_s = seconds(); // so far; the last one stays
      facts.num_chunks = Number(facts.num_chunks) + 1;
      process.stdout.write(choice.delta.content);
    }
    facts.finish_reason = choice?.finish_reason ?? facts.finish_reason;
    facts.input_tokens = chunk.usage?.prompt_tokens ?? facts.input_tokens;
    facts.output_tokens = chunk.usage?.completion_tokens ?? facts.output_tokens;
    facts.request_id = chunk.id;
  }
  console.log();
}

/** How it ended. A failure has no latency, so that it flatters no mean. */
function ending(): Record<string, string | undefined> {
  if (!failure) return { status: "ok" };
  const error_type = failure instanceof Error ? failure.constructor.name : "Error";
  return { status: "error", error_type, e2e_latency_s: undefined };
}

async function log(measured: object): Promise<void> {
  const { model, temperature, top_p, max_tokens } = request;
  const sampling = { temperature, top_p, max_tokens };
  const about = { id: randomUUID(), timestamp, session: "log.ts", model, base_url: baseURL };
  const record = { ...about, ...sampling, streamed: true, ...measured };
  const answer = await fetch(endpoint, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      ...(token ? { Authorization: `Bearer ${token}` } : {}),
    },
    body: JSON.stringify({ schema: "vllm-workbench/telemetry/1", records: [record] }),
  });
  if (!answer.ok) throw new Error(`${endpoint} answers ${answer.status}: ${await answer.text()}`);
}
