"""
Ways of asking: templates for a subject, and the small noise of real typing.

Templates are in two lists that never meet: one for training, one held out. The
noise (case, a missing question mark, a greeting, one slip of the finger) is for
training questions only; a held-out question is asked as it was written.
"""

import random

# Each kind of subject: questions for training, and questions held out.
TEMPLATES = {
    "is": (
        [
            "What is {}?",
            "What's {}?",
            "Explain {}.",
            "Tell me about {}.",
            "What does {} mean?",
            "Can you explain {}?",
        ],
        ["Describe {}.", "Help me understand {}."],
    ),
    "what": (
        [
            "What is {}?",
            "What's {}?",
            "Tell me {}.",
            "Do you know {}?",
            "I need to know {}.",
            "Give me {}.",
        ],
        ["Could you say what {} is?"],
    ),
    "how": (
        [
            "How do I {}?",
            "How can I {}?",
            "How to {}?",
            "I want to {}.",
            "Show me how to {}.",
            "What must I do to {}?",
        ],
        ["What is the way to {}?"],
    ),
    "does": (
        [
            "What does {} do?",
            "What is {} for?",
            "Explain {}.",
            "Why would I use {}?",
            "What's {}?",
            "What is {}?",
        ],
        ["Tell me what {} does."],
    ),
    "why": (
        [
            "Why {}?",
            "Why {}, in short?",
            "Do you know why? I mean: why {}?",
            "Tell me: why {}?",
            "I wonder: why {}?",
        ],
        ["What is the reason? Why {}?"],
    ),
}

_OPENINGS = [
    "Please: {}",
    "Hey, {}",
    "Hi! {}",
    "Hello, {}",
    "Quick question: {}",
    "I have a question: {}",
    "So, {}",
    "Can you tell me: {}",
    "One question. {}",
    "OK, {}",
    "Tell me: {}",
    "{} Please.",
    "{} Thanks.",
    "{} Please be brief.",
]


def fill(kind: str, subject: str) -> tuple[list[str], list[str]]:
    """
    Make the training and the held-out questions of *subject*.
    """
    asked, held_out = TEMPLATES[kind]
    return [t.format(subject) for t in asked], [t.format(subject) for t in held_out]


def roughen(question: str, rng: random.Random) -> str:
    """
    Type *question* as a person might; a third of the time exactly as written.
    """
    if rng.random() < 0.35:
        return question
    if rng.random() < 0.3:
        question = rng.choice(_OPENINGS).format(question)
    if rng.random() < 0.25:
        question = question.lower()
    if rng.random() < 0.25:
        question = question.rstrip("?.! ")
    if rng.random() < 0.06:
        question = _slip(question, rng)
    return question


def normalised(question: str) -> str:
    """
    What is left of *question* when case, spaces and end marks don't count.
    """
    return " ".join(question.lower().split()).rstrip("?.! ")


def _slip(text: str, rng: random.Random) -> str:
    """
    Swap two neighbouring letters somewhere inside *text*.
    """
    places = [i for i in range(1, len(text) - 1) if text[i].isalpha() and text[i + 1].isalpha()]
    if not places:
        return text
    i = rng.choice(places)
    return text[:i] + text[i + 1] + text[i] + text[i + 2 :]
