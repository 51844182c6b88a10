"""
Run notebooks in place and keep their outputs as the saved ones.

    python tools/save_notebooks.py [NOTEBOOK …]

What a reader on the web sees is what really came out. Metadata that changes
with every run (timings, widget state, kernel versions) is dropped, so that a
diff shows content only. Paths of this machine are written as ``…``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

PROJECT = Path(__file__).resolve().parent.parent
CELL_TIMEOUT_S = 300
KEPT_CELL_METADATA = {"tags"}


def save(path: Path) -> None:
    """Execute one notebook where it lies and write it back, cleaned."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT_S,
        kernel_name="python3",
        store_widget_state=False,
        coalesce_streams=True,  # a streamed answer is one output, however it was cut
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    clean(notebook)
    nbformat.write(notebook, path)


def clean(notebook: nbformat.NotebookNode) -> None:
    """Drop what changes from run to run without meaning."""
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {
                "display_name": "Python 3 (ipykernel)",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python"},
        }
    )
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict(
            {name: value for name, value in cell.metadata.items() if name in KEPT_CELL_METADATA}
        )
        for output in cell.get("outputs", []):
            output.pop("metadata", None) if output.output_type == "stream" else None
            _hide_paths(output)


def _hide_paths(output: nbformat.NotebookNode) -> None:
    if "text" in output:
        output.text = output.text.replace(str(PROJECT), "…")
    for kind, text in output.get("data", {}).items():
        if isinstance(text, str):
            output.data[kind] = text.replace(str(PROJECT), "…")


def main(names: list[str]) -> None:
    """Save those named, or all numbered notebooks."""
    paths = [Path(name) for name in names] or sorted((PROJECT / "notebooks").glob("[0-9]*.ipynb"))
    for path in paths:
        print(path.name, file=sys.stderr)
        save(path)


if __name__ == "__main__":
    main(sys.argv[1:])
