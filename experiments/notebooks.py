"""Executes the notebooks of examples/ in place, so that they hold what their cells print.

pip install 'psro[notebooks]'
python experiments/notebooks.py                      # all
python experiments/notebooks.py first_steps arena
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import nbclient
import nbformat

FOLDER = Path(__file__).resolve().parent.parent / "examples"


def execute(name: str) -> None:
    """Executes one notebook in a folder of its own, and writes its outputs into it."""
    path = FOLDER / f"{name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        client = nbclient.NotebookClient(
            notebook, timeout=900, kernel_name="python3", record_timing=False,
            resources={"metadata": {"path": folder}},
        )  # fmt: skip
        client.execute()
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}  # not the version of this machine
    nbformat.write(notebook, path)
    print(f"{path.name}: {len(notebook.cells)} cells")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="by default all")
    names = parser.parse_args().names
    for name in names or sorted(path.stem for path in FOLDER.glob("*.ipynb")):
        execute(name)


if __name__ == "__main__":
    main()
