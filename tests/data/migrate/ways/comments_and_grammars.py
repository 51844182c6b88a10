from llama_cpp import Llama, LlamaGrammar
import json
llm = Llama(model_path="m.gguf", n_ctx=4096)  # load once
grammar = LlamaGrammar.from_file("list.gbnf")
schema_grammar = LlamaGrammar.from_json_schema(json.dumps({"type": "object"}))
out = llm(
    "Q: ",
    max_tokens=-1,
    grammar=grammar,  # keep to the list
    # nothing random please
    temperature=0.0,
    top_p=0.1,  # unused
    mirostat_mode=2,  # on!
    echo=True
)
# after
print(out["choices"][0]["text"])
print(llm.create_completion("x", grammar=schema_grammar))
