/**
 * The one place in this application that knows which server answers.
 *
 * `workbench migrate --write` put it here, and it is yours: change what you like. The environment
 * says the rest: OPENAI_BASE_URL with /v1, OPENAI_API_KEY if the server asks for one, LLM_MODEL (the
 * served model's name), LLM_TIMEOUT_S, LLM_RETRIES, and LOGGING_ENDPOINT, where a record of each
 * request is posted. A record has a hash of the prompt, and never the prompt.
 */

import { createHash, randomUUID } from "node:crypto";

import OpenAI from "openai";

const baseURL = process.env.OPENAI_BASE_URL || "http://localhost:8000/v1";
const session = randomUUID().replaceAll("-", "").slice(0, 12);

export const llmModel = process.env.LLM_MODEL || "default";

export const llmClient = new OpenAI({
  baseURL,
  // vLLM without --api-key takes any key, and the SDK insists on one.
  apiKey: process.env.OPENAI_API_KEY || "none",
  timeout: 1000 * Number(process.env.LLM_TIMEOUT_S || 600),
  maxRetries: Number(process.env.LLM_RETRIES || 2),
  fetch: recorded,
});

/** Fetch, and tell what was asked and how it went. Each attempt is a record of its own. */
async function recorded(url: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const sent = performance.now();
  const seconds = () => (performance.now() - sent) / 1000;
  const asked = about(init?.body);
  try {
    const answer = await fetch(url, init);
    // A copy is read beside the caller, who does not wait for it.
    void follow(answer.clone(), seconds).then((facts) => tell({ ...asked, ...facts }), () => {});
    return answer;
  } catch (error) {
    const error_type = error instanceof Error ? error.name : "Error";
    tell({ ...asked, status: "error", error_type, duration_s: seconds() });
    throw error;
  }
}

function about(body: unknown): Record<string, unknown> {
  const said = typeof body === "string" ? JSON.parse(body) : {};
  const { model, temperature, top_p, max_tokens, seed } = said;
  const prompt = JSON.stringify(said.messages ?? said.prompt ?? null);
  return {
    id: randomUUID().replaceAll("-", ""),
    timestamp: new Date().toISOString(),
    session,
    base_url: baseURL,
    model: model ?? llmModel,
    ...{ temperature, top_p, max_tokens, seed },
    streamed: said.stream === true,
    prompt_hash: `sha256:${createHash("sha256").update(prompt).digest("hex")}`,
  };
}

/** Read an answer to its end: tokens, the finish reason, and when its content came. */
async function follow(answer: Response, seconds: () => number): Promise<Record<string, unknown>> {
  const facts: Record<string, unknown> = { http_status: answer.status };
  const decoder = new TextDecoder();
  const streams = answer.headers.get("content-type")?.startsWith("text/event-stream");
  let rest = "";
  for await (const bytes of answer.body ?? []) {
    rest += decoder.decode(bytes, { stream: true });
    if (!streams) continue;
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.startsWith("data: {")) see(line.slice(6), true);
  }
  if (answer.ok && !streams) see(rest, false);
  const ended = { status: answer.ok ? "ok" : "error", duration_s: seconds() };
  return { ...facts, ...ended };

  function see(json: string, chunk: boolean): void {
    const { id, choices, usage } = JSON.parse(json);
    facts.request_id = id;
    facts.input_tokens = usage?.prompt_tokens ?? facts.input_tokens;
    facts.output_tokens = usage?.completion_tokens ?? facts.output_tokens;
    const choice = choices?.[0];
    facts.finish_reason = choice?.finish_reason ?? facts.finish_reason;
    if (chunk && !(choice?.delta?.content || choice?.delta?.tool_calls || choice?.text)) return;
    if (chunk) facts.ttft_s ??= seconds();
    if (chunk) facts.num_chunks = Number(facts.num_chunks ?? 0) + 1;
    facts.e2e_latency_s = seconds();
  }
}

/** Post a record to LOGGING_ENDPOINT. The place for hooks of yours. */
function tell(record: Record<string, unknown>): void {
  const endpoint = process.env.LOGGING_ENDPOINT;
  if (!endpoint) return;
  const token = process.env.LOGGING_ENDPOINT_TOKEN;
  const authorization = token ? { Authorization: `Bearer ${token}` } : {};
  const body = JSON.stringify({ schema: "vllm-workbench/telemetry/1", records: [record] });
  const headers = { "Content-Type": "application/json", ...authorization };
  fetch(endpoint, { method: "POST", headers, body }).catch((error: unknown) => {
    // A log that is down must not stop the application.
    console.warn(`LOGGING_ENDPOINT: ${error}`);
  });
}
