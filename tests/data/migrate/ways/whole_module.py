import llama_cpp
from llama_cpp import llama_cpp as low
llm = llama_cpp.Llama(model_path="m", split_mode=llama_cpp.LLAMA_SPLIT_MODE_ROW, type_k=llama_cpp.GGML_TYPE_Q8_0)
print(llama_cpp.__version__)
stop = llama_cpp.StoppingCriteriaList([lambda t, l: False])
print(llm("x", stopping_criteria=stop))
r = llm.create_chat_completion(messages=[], tools=[{"type":"function"}], tool_choice="auto")
if r["choices"][0]["message"].get("tool_calls"): print("x")
