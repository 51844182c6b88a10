import subprocess
subprocess.run(["ollama", "run", "llama3", "hi"], check=True)
p = subprocess.Popen(["./llama-server", "-m", "m.gguf", "--port", "8080"])
subprocess.run("ollama pull llama3", shell=True)
