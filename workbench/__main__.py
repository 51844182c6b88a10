"""
``workbench VERB …`` in the shell; also ``python -m workbench``.

Next to nothing is imported before Ctrl-C is minded: the rest takes a fifth of a second,
in which people think better of it.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run one verb and exit with its status; interrupted before it begins, as after that."""
    try:
        from .shell import run

        status = run()
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)


if __name__ == "__main__":
    main()
