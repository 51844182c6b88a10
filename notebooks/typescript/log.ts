/**
 * One question, and a record of it for LOGGING_ENDPOINT: where the workbench's own requests go too.
 *
 *     workbench telemetry serve                        # or any other place that takes JSON
 *     LOGGING_ENDPOINT=http://localhost:5000/logs npx tsx log.ts "What is a KV cache?"
 */

import { randomUUID } from "node:crypto";

import { request } from "./request.ts";
import { baseURL, client } from "./server.ts";

const endpoint = process.env.LOGGING_ENDPOINT ?? "http://localhost:5000/logs";
const token = process.env.LOGGING_ENDPOINT_TOKEN;

const timestamp = new Date().toISOString();
const sent = performance.now();
const response = await client.chat.completions.create(request);
const seconds = (performance.now() - sent) / 1000;
console.log(response.choices[0]?.message.content);

const record = {
  id: randomUUID(),
  timestamp,
  session: "log.ts",
  model: request.model,
  base_url: baseURL,
  status: "ok",
  duration_s: seconds,
  e2e_latency_s: seconds,
  streamed: false,
  temperature: request.temperature,
  input_tokens: response.usage?.prompt_tokens,
  output_tokens: response.usage?.completion_tokens,
  finish_reason: response.choices[0]?.finish_reason,
  request_id: response.id,
};
const answer = await fetch(endpoint, {
  method: "POST",
  headers: {
    "Content-Type": "application/json",
    ...(token ? { Authorization: `Bearer ${token}` } : {}),
  },
  body: JSON.stringify({ schema: "vllm-workbench/telemetry/1", records: [record] }),
});
if (!answer.ok) throw new Error(`${endpoint} answers ${answer.status}: ${await answer.text()}`);
