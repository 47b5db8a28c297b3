"""Game files with hostile names, damaged exports and odd names of the zoo, into `psro export
--html`, `psro publish` and `psro zoo`: each ends with exit code 0, or with one sentence and exit
code 2, and a page or a card holds names only as text.

    python experiments/trust/fuzz_pages.py --count 500 --seed 0
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import re
import shutil
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

import psro
from psro import cli
from psro.play import offline
from psro.runs import zoo

LIMIT = 60
"""Seconds for one command."""
NAMES = [
    "</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "`x` | y", "---", "\\",
    "=cmd|' /C calc'!A0", "\u202egnp.exe", "\x1b[2J", "漢字" * 30, "a" * 3_000, "{{7*7}}", "${x}",
    "&lt;b&gt;", "\U0001f600", "]]>", "<!--", "%00", "javascript:alert(1)", " ", "",
]  # fmt: skip


class Hang(Exception):
    """A command that took too long."""


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") + '"'


def name(rng: random.Random) -> str:
    said = "".join(rng.choices(NAMES, k=rng.randint(1, 2))) + rng.choice(["", '"', "'", "1"])
    return said + "\0" * (rng.random() < 0.01)


def game_file(rng: random.Random, folder: Path) -> Path:
    """A small game with hostile names: a table, or a signalling game."""
    said = [quoted(name(rng)) for _ in range(12)]
    numbers = [rng.choice([-1, 0, 1, 2, 1e6, 0.25]) for _ in range(8)]
    if rng.random() < 0.5:
        file = folder / "game.nfg"
        outcomes = "".join(
            f"{{ {said[6 + k]} {numbers[2 * k]:g}, {numbers[2 * k + 1]:g} }}\n" for k in range(4)
        )
        file.write_text(
            f"NFG 1 R {said[0]} {{ {said[1]} {said[2]} }} {{ {{ {said[3]} {said[4]} }} "
            f"{{ {said[5]} {said[3]} }} }}\n{{\n{outcomes}}}\n1 2 3 4\n",
            encoding="utf-8",
        )
        return file
    file = folder / "game.efg"
    ends = [
        f"t {said[6]} {k} {said[6 + k]} {{ {numbers[k]:g} {-numbers[k]:g} }}" for k in range(1, 5)
    ]
    file.write_text(
        f"EFG 2 R {said[0]} {{ {said[1]} {said[2]} }}\n"
        f'c "" 1 {said[3]} {{ {said[4]} 1/2 {said[5]} 1/2 }} 0\n'
        f'p "" 1 1 {said[6]} {{ {said[7]} {said[8]} }} 0\n{ends[0]}\n{ends[1]}\n'
        f'p "" 2 1 {said[9]} {{ {said[10]} {said[11]} }} 0\n{ends[2]}\n{ends[3]}\n',
        encoding="utf-8",
    )
    return file


def damaged(rng: random.Random, folder: Path) -> Path:
    """An export of the zoo with some bytes changed, cut or added."""
    content = bytearray(zoo.card(rng.choice(["goofspiel", "kuhn"])).file.read_bytes())
    for _ in range(rng.choice([1, 1, 3, 40])):
        content[rng.randrange(len(content))] = rng.randrange(256)
    if rng.random() < 0.3:
        content = content[: rng.randrange(len(content))]
    if rng.random() < 0.2:
        content += rng.randbytes(30)
    file = folder / "damaged.psro"
    file.write_bytes(content)
    return file


def trained(rng: random.Random, folder: Path) -> str:
    """A run on a hostile file; its path if the file is a game, else the file's."""
    file = game_file(rng, folder)
    try:
        config = psro.RunConfig(game=str(file), oracle="best_response", iterations=1)
        return str(psro.run(config, folder / "run").folder)
    except ValueError as error:  # PsroError and GameError: a sentence
        assert "\n" not in str(error), error
        return str(file)


def command(rng: random.Random, folder: Path) -> list[str]:
    kind = rng.random()
    if kind < 0.1:
        return ["zoo", rng.choice(["kuhn", "zoo:leduc", name(rng).replace("\0", "") or "x"])]
    source = trained(rng, folder) if kind < 0.6 else str(damaged(rng, folder))
    if kind > 0.95:
        source = f"zoo:{name(rng)}".replace("\0", "")
    if rng.random() < 0.6:
        return ["export", source, str(folder / "page.html"), "--html"]
    target = rng.choice([str(folder / "made"), f"hf://{name(rng)}".replace("\0", "")])
    return ["publish", source, target]


def check(folder: Path) -> None:
    """Names are only text in what was written."""
    page = next(
        (p for p in (folder / "page.html", folder / "made" / "play.html") if p.exists()), None
    )
    if page is not None:
        text = page.read_text(encoding="utf-8")
        assert text.count("</script>") == 1 + len(offline.SCRIPTS), page
        data = re.sub(r"<script.*?</script>|<style>.*?</style>", "", text, flags=re.DOTALL)
        assert "alert(1)" not in data and "<img" not in data, page
    card = folder / "made" / "README.md"
    if card.exists():
        parts = card.read_text(encoding="utf-8").split("\n---\n")
        assert len(parts) == 2, card
        outside = re.sub(r"(`+) ?.*? ?\1", "", parts[1])
        assert "<img" not in outside and "<script" not in outside, card


def run(arguments: list[str]) -> tuple[str, str]:
    """How a command ended, and what it said."""

    def late(*_: object) -> None:
        raise Hang

    signal.signal(signal.SIGALRM, late)
    signal.alarm(LIMIT)
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            cli.main(arguments)
        return "done", out.getvalue()
    except SystemExit as leaving:
        refused = leaving.code == 2 and "Traceback" not in out.getvalue()
        return ("refused" if refused else f"exit {leaving.code}"), out.getvalue()
    except Hang:
        return "hang", out.getvalue()
    except BaseException as error:
        return f"traceback {type(error).__name__}", f"{out.getvalue()}{error}"
    finally:
        signal.alarm(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    ends, begun = Counter(), time.perf_counter()
    for number in range(options.count):
        rng = random.Random(f"{options.seed}/{number}")
        folder = Path(tempfile.mkdtemp(prefix="psro-fuzz-"))
        try:
            arguments = command(rng, folder)
            ended, said = run(arguments)
            check(folder)
        finally:
            shutil.rmtree(folder)
        ends[f"{arguments[0]}: {ended}"] += 1
        if not ended.startswith(("done", "refused")):
            print(f"{number}: {ended} of {arguments}: {said[-300:]}", flush=True)
    for kind, count in sorted(ends.items()):
        print(f"{count:5}  {kind}")
    print(f"{options.count} in {time.perf_counter() - begun:.0f} seconds")


if __name__ == "__main__":
    main()
