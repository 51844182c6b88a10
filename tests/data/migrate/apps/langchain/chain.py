from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_ollama import ChatOllama

prompt = ChatPromptTemplate.from_messages(
    [("system", "You are a helpful assistant."), ("human", "{question}")]
)
model = ChatOllama(
    model="llama3.2",
    base_url="http://localhost:11434",
    temperature=0,
    num_predict=48,
    num_ctx=2048,
)
chain = prompt | model | StrOutputParser()

if __name__ == "__main__":
    print(chain.invoke({"question": "What is vLLM?"}))
    for piece in chain.stream({"question": "What is a KV cache?"}):
        print(piece, end="", flush=True)
    print()
