try:
    from llama_cpp import Llama
except ImportError:
    Llama = None
class Local:
    llm: "Llama | None" = None
    def load(self):
        if Llama is None:
            raise RuntimeError("pip install llama-cpp-python")
        self.llm = Llama(model_path="m.gguf", n_ctx=2048)
    def ask(self, p):
        assert self.llm is not None
        return self.llm(p, max_tokens=10, stop=["\n"])["choices"][0]["text"]
    def is_loaded(self):
        return isinstance(self.llm, Llama)
