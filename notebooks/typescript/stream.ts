// The answer as it comes, and below it how it came: the words are those of CONTRIBUTING.md.

import type { ChatCompletionChunk } from "openai/resources/chat/completions";

import { request } from "./request.ts";
import { client } from "./server.ts";

type Delta = ChatCompletionChunk.Choice.Delta;

const sent = performance.now();
const stream = await client.chat.completions.create({
  ...request,
  stream: true,
  stream_options: { include_usage: true }, // the server counts the tokens, in the last chunk
});

const arrivals: number[] = [];
let outputTokens: number | undefined;
let finishReason: string | null | undefined;

for await (const chunk of stream) {
  const choice = chunk.choices[0];
  if (choice && hasContent(choice.delta)) arrivals.push(performance.now());
  process.stdout.write(choice?.delta.content ?? "");
  finishReason = choice?.finish_reason ?? finishReason;
  outputTokens = chunk.usage?.completion_tokens ?? outputTokens;
}

const ttft = known((arrivals[0] ?? NaN) - sent, " ms");
console.log(`\nTTFT ${ttft} · ${rate()} · ${finishReason ?? "broke off"}`);

/** Whether the chunk starts or goes on with an answer: one with a role alone does not. */
function hasContent(delta: Delta & { reasoning?: string }): boolean {
  return Boolean(delta.content || delta.reasoning || delta.tool_calls?.length);
}

/** Output tokens, and those after the first per second: 1 / TPOT. */
function rate(): string {
  const decoding = (arrivals.at(-1) ?? NaN) - (arrivals[0] ?? NaN);
  const perSecond = (((outputTokens ?? NaN) - 1) * 1000) / decoding;
  return `${outputTokens ?? "–"} tokens · ${known(perSecond, " tok/s")}`;
}

/** Unknown is –, never zero. */
function known(value: number, unit: string): string {
  return Number.isFinite(value) && value > 0 ? `${value.toFixed(1)}${unit}` : "–";
}
