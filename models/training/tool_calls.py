"""
Conversations with tools: the offer, the call, the result, the sentence.

The schemas vary as real ones do, since they come from somebody's function
signatures: other descriptions, another order, with and without ``title``,
``required`` and ``additionalProperties``. The one constant is the name.
"""

import json
from random import Random

import skills
from pool import Pool

_DESCRIPTIONS = {
    "get_weather": [
        "Get the weather of a city.",
        "Tell the current weather in a city.",
        "Look up the weather.",
        "Current weather for a city.",
        "Return today's weather in a place.",
        "",
    ],
    "add": [
        "Add two numbers.",
        "Add a and b.",
        "Return the sum of two numbers.",
        "Sum of two integers.",
        "",
    ],
    "multiply": [
        "Multiply two numbers.",
        "Multiply a by b.",
        "Return the product of two numbers.",
        "",
    ],
    "get_gpu_memory": [
        "Read how much GPU memory is free.",
        "GPU memory in use and in total.",
        "Return the free and total VRAM of the GPU.",
        "",
    ],
    "get_time": ["Tell the time in a time zone.", "Current time.", ""],
    "search_docs": ["Search the documentation.", "Find pages about a topic.", ""],
}
_PARAMETERS = {
    "get_weather": {"city": "string", "unit": "string"},
    "add": {"a": "number", "b": "number"},
    "multiply": {"a": "number", "b": "number"},
    "get_gpu_memory": {},
    "get_time": {"zone": "string"},
    "search_docs": {"query": "string"},
}
_ABOUT = {
    "city": ["The city.", "Name of the city.", "A city, such as Paris.", "City name"],
    "unit": ["celsius or fahrenheit", "The unit of the temperature.", "Temperature unit."],
    "a": ["The first number.", "First term"],
    "b": ["The second number.", "Second term"],
    "zone": ["The time zone."],
    "query": ["What to search for."],
}
_SKIES = ["sunny", "cloudy", "rainy", "clear", "windy", "foggy", "snowy", "hot", "mild", "stormy"]
_TWO_CITIES = [
    "What is the weather in {x} and in {y}?",
    "Compare the weather in {x} and {y}.",
    "What is the weather in {x} and {y}?",
    "Weather in {x} and {y}?",
    "Tell me the weather in {x} and in {y}.",
]


def offer(needed: list[str], rng: Random) -> list[dict]:
    """
    Offer the *needed* tools among up to two others, in any order.
    """
    others = [name for name in _PARAMETERS if name not in needed]
    names = needed + rng.sample(
        others, rng.choice([0, 0, 0, 1, 1, 2]) if needed else rng.choice([1, 1, 2])
    )
    rng.shuffle(names)
    return [schema(name, rng) for name in names]


def schema(name: str, rng: Random) -> dict:
    """
    Describe one tool, in one of the many ways a generator might.
    """
    parameters = dict(_PARAMETERS[name])
    optional = {"unit"}
    if rng.random() < 0.5:
        parameters.pop("unit", None)
    order = list(parameters)
    if rng.random() < 0.3:
        rng.shuffle(order)
    number = rng.choice(["number", "integer"])
    described, titled = rng.random() < 0.4, rng.random() < 0.2
    properties = {}
    for key in order:
        properties[key] = {"type": number if parameters[key] == "number" else parameters[key]}
        if described:
            properties[key]["description"] = rng.choice(_ABOUT[key])
        if titled:
            properties[key]["title"] = key.capitalize()
        if key == "unit" and rng.random() < 0.5:
            properties[key]["enum"] = ["celsius", "fahrenheit"]
    declared = {"type": "object", "properties": properties}
    if rng.random() < 0.85:
        declared["required"] = [key for key in order if key not in optional]
    if rng.random() < 0.25:
        declared["additionalProperties"] = False
    function = {
        "name": name,
        "description": rng.choice(_DESCRIPTIONS[name]),
        "parameters": declared,
    }
    return {"type": "function", "function": function}


def weather(pool: Pool, rng: Random) -> tuple[list[dict], list[dict]]:
    """
    Ask for the weather in one city, now and then in a stated unit.
    """
    city = pool.city(rng)
    tools = offer(["get_weather"], rng)
    question = rng.choice(skills.WEATHER_QUESTIONS).format(city=city)
    arguments = {"city": city}
    if "unit" in _properties(tools, "get_weather") and rng.random() < 0.4:
        arguments["unit"] = rng.choice(["celsius", "fahrenheit"])
        question = question.rstrip("?.") + f" in {arguments['unit'].capitalize()}?"
    observed, sentence = _observe(city, rng)
    return _exchange(question, [("get_weather", arguments, observed)], sentence), tools


def two_cities(pool: Pool, rng: Random) -> tuple[list[dict], list[dict]]:
    """
    Ask for two cities at once: two calls in one turn.
    """
    x, y = pool.city(rng), pool.city(rng)
    (seen_x, said_x), (seen_y, said_y) = _observe(x, rng), _observe(y, rng)
    question = rng.choice(_TWO_CITIES).format(x=x, y=y)
    calls = [("get_weather", {"city": x}, seen_x), ("get_weather", {"city": y}, seen_y)]
    return _exchange(question, calls, f"{said_x} {said_y}"), offer(["get_weather"], rng)


def arithmetic(pool: Pool, rng: Random) -> tuple[list[dict], list[dict]]:
    """
    Add or multiply by tool, with numbers too large to know by heart.
    """
    top = rng.choice([20, 99, 999, 9999])
    a, b = rng.randint(0, top), rng.randint(0, top)
    name, sign, value, asked = rng.choice(
        [
            (
                "add",
                "+",
                a + b,
                [
                    "What is {a} + {b}?",
                    "Add {a} and {b}.",
                    "What is {a} plus {b}?",
                    "How much is {a} + {b}?",
                    "Use the tool to add {a} and {b}.",
                ],
            ),
            (
                "multiply",
                "*",
                a * b,
                [
                    "What is {a} * {b}?",
                    "Multiply {a} by {b}.",
                    "What is {a} times {b}?",
                    "Use the tool to multiply {a} and {b}.",
                ],
            ),
        ]
    )
    question = rng.choice(asked).format(a=a, b=b)
    result = rng.choice([str(value), json.dumps({"result": value})])
    return _exchange(
        question, [(name, {"a": a, "b": b}, result)], f"{a} {sign} {b} = {value}."
    ), offer([name], rng)


def gpu_memory(pool: Pool, rng: Random) -> tuple[list[dict], list[dict]]:
    """
    Read the GPU's memory: a call without arguments.
    """
    total = rng.choice([8176, 12272, 16368, 24517, 24560, 32768])
    free = rng.randint(100, total)
    total_key, free_key = rng.choice(
        [("total_mib", "free_mib"), ("total", "free"), ("total_mb", "free_mb")]
    )
    facts = [(total_key, total), (free_key, free)]
    rng.shuffle(facts)
    question = pool.typed(rng.choice(skills.MEMORY_QUESTIONS), rng)
    sentence = f"{free} MiB of {total} MiB are free."
    return _exchange(question, [("get_gpu_memory", {}, json.dumps(dict(facts)))], sentence), offer(
        ["get_gpu_memory"], rng
    )


def _observe(city: str, rng: Random) -> tuple[str, str]:
    degrees, sky = rng.randint(-20, 45), rng.choice(_SKIES)
    temperature, condition = rng.choice(
        [
            ("temperature", "condition"),
            ("temperature_c", "sky"),
            ("degrees", "sky"),
            ("temperature", "weather"),
            ("temp", "conditions"),
        ]
    )
    seen = rng.choice(
        [
            json.dumps({"city": city, temperature: degrees, condition: sky}),
            json.dumps({temperature: degrees, condition: sky}),
            json.dumps({"city": city, condition: sky, temperature: degrees, "unit": "celsius"}),
            f"{degrees} degrees, {sky}",
            f"{sky}, {degrees} degrees",
            f"{city}: {sky}, {degrees} °C",
        ]
    )
    return seen, f"It is {degrees} degrees and {sky} in {city}."


def _exchange(question: str, calls: list[tuple[str, dict, str]], sentence: str) -> list[dict]:
    made = [
        {"type": "function", "function": {"name": name, "arguments": arguments}}
        for name, arguments, _ in calls
    ]
    return [
        {"role": "user", "content": question},
        {"role": "assistant", "content": None, "tool_calls": made},
        *({"role": "tool", "content": result} for _, _, result in calls),
        {"role": "assistant", "content": sentence},
    ]


def _properties(tools: list[dict], name: str) -> dict:
    [found] = [tool["function"] for tool in tools if tool["function"]["name"] == name]
    return found["parameters"]["properties"]
