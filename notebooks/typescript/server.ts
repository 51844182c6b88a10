/**
 * The server that the environment names: what every other file here imports.
 *
 * `OPENAI_BASE_URL` with `/v1`, `OPENAI_API_KEY` if it asks for one, and
 * `WORKBENCH_MODEL`, the served model name; without it the first model that is served.
 */

import OpenAI from "openai";

const LOCAL_URL = "http://localhost:8000/v1";

// vLLM without --api-key takes any; the SDK insists on one.
const NO_KEY = "none";

const told = process.env.OPENAI_BASE_URL;

export const baseURL = told || LOCAL_URL;

export const client = new OpenAI({
  baseURL,
  // A key for OpenAI belongs to the URL that was set with it, and to no other server.
  apiKey: (told && process.env.OPENAI_API_KEY) || NO_KEY,
});

export const model = process.env.WORKBENCH_MODEL || (await firstServed());

async function firstServed(): Promise<string> {
  const listing = await client.models.list().catch(explain);
  const first = listing.data[0];
  if (!first) throw new Error(`${baseURL} serves no model. Name one: WORKBENCH_MODEL=…`);
  return first.id;
}

function explain(error: unknown): never {
  if (!(error instanceof OpenAI.APIConnectionError)) throw error;
  throw new Error(`Nothing answers at ${baseURL}. \`workbench up\` starts a server there.`, {
    cause: error,
  });
}
