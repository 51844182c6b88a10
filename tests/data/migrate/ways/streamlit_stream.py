# streamlit
import streamlit as st
from llama_cpp import Llama
if "chat_llm" not in st.session_state:
    st.session_state.chat_llm = Llama(model_path="m.gguf", n_ctx=2048, verbose=False)
stream = st.session_state.chat_llm.create_chat_completion(messages=st.session_state.messages, max_tokens=256, temperature=0.7, stream=True)
full = ""
for chunk in stream:
    full += chunk['choices'][0]['delta'].get('content', "")
