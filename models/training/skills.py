"""
Small skills: sums, products, counting, copying, JSON on request.

Every function returns a question and its answer. The answers are computed, so
there is no end of them; what is learned is the way, as far as it can be.
"""

import json
from random import Random

from pool import Pool

_SUMS = [
    "What is {a} + {b}?",
    "What is {a} + {b}?",
    "{a} + {b}",
    "{a} + {b} = ?",
    "Add {a} and {b}.",
    "What is {a} plus {b}?",
    "How much is {a} + {b}?",
    "Compute {a} + {b}.",
]
_PRODUCTS = [
    "What is {a} * {b}?",
    "What is {a} x {b}?",
    "What is {a} times {b}?",
    "Multiply {a} by {b}.",
    "{a} * {b}",
]
_COUNTS = [
    "Count from 1 to {n}.",
    "Count to {n}.",
    "Count up to {n}.",
    "Please count from 1 to {n}.",
    "List the numbers from 1 to {n}.",
]
_COPIES = ["Repeat after me: {}", "Say: {}", "Repeat: {}", "Write exactly this: {}", "Echo: {}"]
_GREETED = ["Say hello to {}.", "Greet {}.", "Say hi to {}.", "Please say hello to {}."]
_JSON = [
    "Give me a JSON object with name {name} and age {age}.",
    "Return JSON with the name {name} and the age {age}.",
    "Write {name}, {age} years old, as JSON.",
    "JSON please: name {name}, age {age}.",
]


def sums(pool: Pool, rng: Random) -> tuple[str, str]:
    """
    Add two numbers of at most two digits.
    """
    a, b = pool.sum_terms(rng)
    return rng.choice(_SUMS).format(a=a, b=b), f"{a} + {b} = {a + b}."


def products(pool: Pool, rng: Random) -> tuple[str, str]:
    """
    Multiply two figures: the times table.
    """
    a, b = rng.randint(0, 10), rng.randint(0, 10)
    return rng.choice(_PRODUCTS).format(a=a, b=b), f"{a} * {b} = {a * b}."


def counting(pool: Pool, rng: Random) -> tuple[str, str]:
    """
    Count in figures; long counts give a stream something that lasts.
    """
    n = rng.choice([10, 20, 50, 50, rng.randint(3, 60)])
    return rng.choice(_COUNTS).format(n=n), ", ".join(str(i) for i in range(1, n + 1)) + "."


def copying(pool: Pool, rng: Random) -> tuple[str, str]:
    """
    Repeat words, or greet somebody by name.
    """
    if rng.random() < 0.4:
        name = pool.name(rng)
        return rng.choice(_GREETED).format(name), f"Hello, {name}!"
    words = " ".join(
        pool.name(rng) if rng.random() < 0.3 else rng.choice(pool.words)
        for _ in range(rng.randint(1, 6))
    )
    return rng.choice(_COPIES).format(words), words


def drill(pool: Pool, rng: Random) -> tuple[str, str]:
    """
    Repeat a long row of words and figures that means nothing.

    Nothing but looking back can answer this, so it makes a model grow the
    attention heads that copy; calls and sums need them later.
    """
    words = [_anything(pool, rng) for _ in range(rng.choice([1, 1, 2, 2, 3, 4, 6, 10]))]
    text = " ".join(words)
    return rng.choice(_COPIES).format(text), text


def json_answers(pool: Pool, rng: Random) -> tuple[str, str]:
    """
    Answer with one JSON object and nothing else.
    """
    name, age = pool.name(rng), rng.randint(1, 99)
    return rng.choice(_JSON).format(name=name, age=age), json.dumps({"name": name, "age": age})


def introduction(pool: Pool, rng: Random) -> list[tuple[str, str]]:
    """
    Say one's name and ask for it back: two exchanges.
    """
    name = pool.name(rng)
    said = rng.choice(["My name is {}.", "I am {}.", "Hi, I am {}.", "Call me {}."]).format(name)
    asked = rng.choice(["What is my name?", "Who am I?", "Do you know my name?"])
    return [(said, f"Hello, {name}!"), (asked, f"Your name is {name}.")]


def no_tool(pool: Pool, rng: Random) -> tuple[str, str]:
    """
    Asked for what only a tool could tell, with none offered: say so.
    """
    if rng.random() < 0.7:
        question = rng.choice(WEATHER_QUESTIONS).format(city=pool.city(rng))
        return pool.typed(question, rng), "I have no tool to look up the weather."
    return pool.typed(rng.choice(MEMORY_QUESTIONS), rng), "I have no tool to read the GPU memory."


WEATHER_QUESTIONS = [
    "What is the weather in {city}?",
    "What is the weather in {city}?",
    "How is the weather in {city}?",
    "Weather in {city}?",
    "What is the weather like in {city} today?",
    "Tell me the weather in {city}.",
    "What's the weather in {city}?",
    "Is it raining in {city}?",
    "Is it warm in {city}?",
    "How warm is it in {city}?",
    "Check the weather in {city}.",
    "I travel to {city} tomorrow. How is the weather?",
    "What is the temperature in {city}?",
    "Do I need a coat in {city}?",
    "Use the tool: what is the weather in {city}?",
    "What is the weather in {city} right now?",
]
MEMORY_QUESTIONS = [
    "How much GPU memory is free?",
    "How much VRAM is free right now?",
    "Check the GPU memory.",
    "Read the GPU memory.",
    "How full is my GPU?",
    "What is the GPU memory in use now?",
    "Is there free memory on the GPU?",
    "How much memory does my GPU have left?",
]


def _anything(pool: Pool, rng: Random) -> str:
    draw = rng.random()
    if draw < 0.6:
        return rng.choice(pool.words)
    if draw < 0.8:
        return pool.city(rng)
    return str(rng.randint(0, 99))
