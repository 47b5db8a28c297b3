"""Feeds the readers of bytes with what covers new branches of them (atheris, libFuzzer).

    python experiments/trust/fuzz_bytes.py archive --seconds 120

Needs `pip install 'psro[fuzz]'`. The input is written to a file, which must be read, or refused by
our own error; anything else ends the run with a traceback and leaves `crash-...` in the working
folder. `fuzz_files.py` starts from real runs instead, and looks at what is left on disk.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(
    include=[
        "games.readers.arrays",
        "games.readers.csv_table",
        "games.readers.files",
        "games.readers.gambit",
        "games.readers.tokens",
        "psro.runs.archive",
        "psro.runs.storage",
    ]
):
    from games.readers import files
    from games.tree import GameError
    from psro.runs import archive, storage

MEMORY = 2048
"""MiB beyond which libFuzzer stops."""


def _archive(file: Path) -> None:
    target = file.with_name("unpacked")
    try:
        archive.unpack(file, target)
        shutil.rmtree(target)
    except storage.ExperimentError:
        assert not target.exists(), "a refused file has left a folder"


def _tensors(file: Path) -> None:
    for read in (storage.read_info, storage.read_tensors):
        try:
            read(file)
        except storage.ExperimentError as error:
            assert str(error).isprintable(), repr(str(error))


def _payoffs(file: Path) -> None:
    try:
        files.read_payoffs(str(file))
    except GameError as error:
        assert str(error).isprintable(), repr(str(error))


def _efg(file: Path) -> None:
    try:
        files.read_efg(str(file))
    except GameError as error:
        assert str(error).isprintable(), repr(str(error))


TARGETS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "archive": ("run.psro", _archive),
    "safetensors": ("payoffs.safetensors", _tensors),
    "efg": ("game.efg", _efg),
    "nfg": ("game.nfg", _payoffs),
    "csv": ("game.csv", _payoffs),
    "npy": ("game.npy", _payoffs),
    "npz": ("game.npz", _payoffs),
}
"""Readers by name, with the name of the file that they read."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--originals", type=Path, help="a folder of files to start from")
    options = parser.parse_args()
    name, read = TARGETS[options.target]
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        file, corpus = Path(place) / name, Path(place) / "corpus"
        corpus.mkdir()
        if options.originals:
            for number, each in enumerate(options.originals.rglob(f"*{file.suffix}")):
                shutil.copy(each, corpus / str(number))

        def one(content: bytes) -> None:
            file.write_bytes(content)
            read(file)

        atheris.Setup(
            [
                sys.argv[0],
                f"-max_total_time={options.seconds}",
                f"-seed={options.seed}",
                f"-rss_limit_mb={MEMORY}",
                "-max_len=65536",
                "-timeout=30",
                "-print_final_stats=1",
                str(corpus),
            ],
            one,
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
