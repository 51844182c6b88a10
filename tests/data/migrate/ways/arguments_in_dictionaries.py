import argparse
from llama_cpp import Llama
def main(argv=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("-m", "--model", default="m.gguf")
    args = parser.parse_args(argv)
    params = dict(max_tokens=100, temperature=0.5, repeat_penalty=1.1)
    llm = Llama(args.model, **{"n_ctx": 2048})
    print(llm("hi", **params)["choices"][0]["text"])
    print(llm.create_chat_completion([{"role": "user", "content": "x"}], None, None, None, None, 0.3))
if __name__ == "__main__":
    main()
