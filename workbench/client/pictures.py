"""
Pictures for models that take them.
"""

from __future__ import annotations

import base64
import mimetypes
from pathlib import Path

from ..records import Image


def read_image(path: str | Path) -> Image:
    """
    Read a picture from a file, to be sent with the message.

    A picture that the server can fetch itself needs no reading: ``Image(url)``.

    Raises:
        ValueError: By its name the file is no picture.
    """
    path = Path(path)
    kind, _ = mimetypes.guess_type(path.name)
    if kind is None or not kind.startswith("image/"):
        raise ValueError(f"{path} does not look like a picture; name it .png, .jpg, .webp, …")
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return Image(f"data:{kind};base64,{data}")
