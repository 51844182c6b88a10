// One question, and its whole answer.

import { request } from "./request.ts";
import { client } from "./server.ts";

const response = await client.chat.completions.create(request);
console.log(response.choices[0]?.message.content);
