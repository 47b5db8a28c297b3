"""Feeds damaged files to `psro run --start-from`, `--import`, `psro egta` and `psro sweep`, and
checks how each of them ends.

    python experiments/trust/fuzz_bring.py --inputs 1200 --seed 0

Each input is a valid file that was cut, changed, repeated or spliced. What counts as a failure: an
exception that the command does not turn into one sentence, an exit code that is not documented, a
sentence that is not one line, or more than `SECONDS`. Runs are created but not trained.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import io
import itertools
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

import psro
from psro import cli
from psro.runs import experiment

SECONDS = 60
CODES = {0, 1, 2, 75, 130}

LOG = "\n".join(
    ["agent_1,agent_2,score_1,score_2"]
    + [f"{a},{b},{n % 5 - 2},{2 - n % 5}" for n, (a, b) in enumerate(
        itertools.product("xyz", repeat=2))] * 3
)  # fmt: skip
SWEEP = """seeds = [0, 2]
draws = 2
[run]
game = "matrix_rps"
oracle = "best_response"
iterations = 1
[grid]
meta_solver = ["nash", "uniform"]
"network.depth" = [1, 2]
[random]
patience = { low = 1, high = 9 }
tolerance = { low = 1e-6, high = 1e-2, scale = "log" }
"""
MODULE = """
from open_spiel.python import policy
import pyspiel
game = pyspiel.load_game("matrix_rps")
policies = [policy.UniformRandomPolicy(game)]
"""
WORDS = (
    b"nan", b"inf", b"-1", b"1e400", b"{}", b"[]", b"\x00", b"\xff\xfe", b"\"", b",", b";", b"\n",
    b"=", b"[[", b"]", b"9" * 400, b"../", b"strategy_", b"low", b"seed",
    b"import sys; sys.exit(3)",
    b"raise KeyboardInterrupt", b"while", b"policies = 7", b"__import__('os')", b"\xe2\x80\xae",
)  # fmt: skip


class Hang(Exception):
    """An input took too long."""


def damaged(content: bytes, rng: random.Random) -> bytes:
    """A file with one to three changes, most of them small."""
    for _ in range(rng.choice([1, 1, 2, 3])):
        at = rng.randrange(len(content) + 1)
        to = min(len(content), at + rng.choice([1, 1, 2, 3, 8, 64]))
        match rng.randrange(6):
            case 0:
                content = content[:at]
            case 1:
                content = content[:at] + content[to:]
            case 2:
                content = content[:at] + rng.choice(WORDS) + content[at:]
            case 3:
                content = content[:at] + rng.choice(WORDS) + content[to:]
            case 4:
                content = content[:at] + content[at:to] * rng.randint(2, 30) + content[to:]
            case 5:
                content = bytes(b ^ 1 << rng.randrange(8) if rng.random() < 0.01 else b
                                for b in content)  # fmt: skip
    return content


class Inputs:
    """Makes inputs in a folder that has a small run, its export, and files."""

    def __init__(self, folder: Path):
        self.folder = folder
        config = psro.RunConfig(game="matrix_rps", oracle="best_response", iterations=2)
        psro.run(config, folder / "source")
        psro.export(folder / "source", folder / "source.psro")
        second = psro.RunConfig(
            game="matrix_rps", iterations=1, start_from=str(folder / "source"),
            hidden_size=4, ppo=psro.PPOConfig(decisions=512, num_envs=16),
        )  # fmt: skip
        psro.run(second, folder / "guests")
        (folder / "plug.py").write_text(MODULE)
        self._numbers = itertools.count()

    def egta(self, rng: random.Random) -> list[str]:
        path = self.file("log.csv", damaged(LOG.encode(), rng))
        more = rng.choice([[], ["--seats", "roles"], ["--seats", "symmetric"], ["--json"],
                           ["--strategies", "agent_1", "agent_2", "--payoffs", "score_1", "x"],
                           ["--out", str(path.with_suffix(".json"))]])  # fmt: skip
        return ["egta", str(path), "--bootstrap", "5", *more]

    def sweep(self, rng: random.Random) -> list[str]:
        path = self.file("sweep.toml", damaged(SWEEP.encode(), rng))
        out = path.with_suffix("")
        last = ["--collect"] if rng.random() < 0.8 else ["--part", "1000000/1000000"]
        return ["sweep", str(path), "--out", str(out), *last]

    def start(self, rng: random.Random) -> list[str]:
        kind = rng.choice(["export", "folder", "module"])
        if kind == "export":
            path = self.file("e.psro", damaged((self.folder / "source.psro").read_bytes(), rng))
        elif kind == "module":
            path = self.file("p.py", damaged(MODULE.encode(), rng))
        else:
            path = self.folder / f"f{next(self._numbers)}"
            source = self.folder / rng.choice(["source", "guests"])
            shutil.copytree(source, path)
            if rng.random() < 0.5:
                self._damage_config(path, rng)
            else:
                files = sorted(p for p in path.rglob("*") if p.is_file())
                file = rng.choice(files)
                file.write_bytes(damaged(file.read_bytes(), rng))
        settings = rng.choice([[], ["--oracle", "best_response"], ["--cell", "gru"],
                               ["--evaluation", "sampled"], ["--symmetric"],
                               ["--game", "kuhn_poker"]])  # fmt: skip
        out = self.folder / f"out{next(self._numbers)}"
        game = [] if "--game" in settings else ["--game", "matrix_rps"]
        words = ["run", "--start-from", str(path), "--iterations", "1", "--out", str(out)]
        return [*words, *game, *settings]

    def imports(self, rng: random.Random) -> list[str]:
        kind = rng.randrange(3)
        if kind == 0:
            path = str(self.file("m.py", damaged(MODULE.encode(), rng)))
        elif kind == 1:
            path = damaged(b"open_spiel.python.policy", rng).decode("latin-1").replace("\x00", "0")
        else:
            path = damaged(b"/tmp/some/where.py", rng).decode("latin-1").replace("\x00", "0")
        return ["variants", "--import", path]

    def _damage_config(self, folder: Path, rng: random.Random) -> None:
        """Changes one value, or a value in the origin, of a config that stays JSON."""
        path = folder / "config.json"
        fields = json.loads(path.read_text())
        inner = fields["run"]
        if inner.get("origin") and rng.random() < 0.6:
            inner = inner["origin"]
            if inner["guests"] and rng.random() < 0.6:
                inner = inner["guests"][0]
        name = rng.choice(sorted(inner))
        inner[name] = rng.choice(
            [None, -1, 0, 1 << 60, 0.5, "x", [], {}, [1], {"a": 1}, True, "lstm", 10**6, "f" * 64]
        )
        path.write_text(json.dumps(fields))

    def file(self, name: str, content: bytes) -> Path:
        path = self.folder / f"{next(self._numbers)}_{name}"
        if name.endswith(".py"):  # the name of a module
            path = self.folder / f"module_{next(self._numbers)}.py"
        path.write_bytes(content)
        return path


def ending(words: list[str]) -> str:
    """How a command line ends: `ok`, `refused`, or what is wrong with it."""
    out, err = io.StringIO(), io.StringIO()

    def too_long(number, frame):
        raise Hang

    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(SECONDS)
    code: int | str | None = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            cli.main(words)
    except SystemExit as leaving:
        code = leaving.code
    except Hang:
        return "hang"
    except BaseException:
        return traceback.format_exc()
    finally:
        signal.alarm(0)
    if code not in CODES:
        return f"exit code {code}: {err.getvalue()[-300:]}"
    if code == 2:
        told = [line for line in err.getvalue().strip().splitlines() if line.startswith("psro: ")]
        if len(told) != 1 and "Parsing error" not in err.getvalue() + out.getvalue():
            return f"no single sentence: {err.getvalue()[-400:]!r}"
        return "refused"
    return "ok"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    ends: collections.Counter[tuple[str, str]] = collections.Counter()
    wrong = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.chdir(folder)
        made = Inputs(folder)
        experiment.Experiment.train = lambda self, pool=None: _nothing(self)
        kinds: list[Callable[[random.Random], list[str]]] = [
            made.egta, made.sweep, made.start, made.imports,
        ]  # fmt: skip
        for number in range(options.inputs):
            kind = kinds[number % len(kinds)]
            modules, path = set(sys.modules), list(sys.path)
            words = kind(rng)
            end = ending(words)
            for name in set(sys.modules) - modules:
                if name.startswith("module_"):
                    del sys.modules[name]
            sys.path[:] = path
            short = end if end in ("ok", "refused") else "wrong"
            ends[kind.__name__, short] += 1
            if short == "wrong":
                wrong += 1
                print(number, words, end, flush=True)
    for (kind, end), count in sorted(ends.items()):
        print(f"{kind:10} {end:8} {count}")
    print(f"{options.inputs} inputs, {wrong} wrong")
    raise SystemExit(bool(wrong))


def _nothing(opened: experiment.Experiment):
    """Trains nothing: the command ends as if it was stopped before the first iteration."""
    raise KeyboardInterrupt
    yield


if __name__ == "__main__":
    main()
