/**
 * What the command line asks for, as the body of a request.
 *
 *     npx tsx chat.ts "What is a KV cache?" --temperature 0 --max-tokens 100
 */

import { parseArgs } from "node:util";

import { model } from "./server.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    temperature: { type: "string", short: "t", default: "0.6" },
    "top-p": { type: "string", default: "0.9" },
    "max-tokens": { type: "string", default: "256" },
  },
});

export const request = {
  model,
  messages: [{ role: "user" as const, content: positionals.join(" ") || "Say hello from vLLM!" }],
  temperature: Number(values.temperature),
  top_p: Number(values["top-p"]),
  max_tokens: Number(values["max-tokens"]),
};
