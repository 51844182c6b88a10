import OpenAI from "openai";

// llama-server --port 8080
const client = new OpenAI({
  baseURL: "http://localhost:8080/v1",
  apiKey: "sk-no-key-required",
});

const question = process.argv[2] ?? "What is vLLM?";

async function main(): Promise<void> {
  const stream = await client.chat.completions.create({
    model: "gpt-3.5-turbo",
    messages: [{ role: "user", content: question }],
    temperature: 0,
    max_tokens: 48,
    stream: true,
  });
  for await (const chunk of stream) {
    process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
  }
  console.log();
}

await main();
