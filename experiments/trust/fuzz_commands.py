"""Feeds random command lines and settings files to `psro`, and checks how each of them ends.

    python experiments/trust/fuzz_commands.py --inputs 10000 --seed 0

Inputs are drawn with hypothesis from the commands and options that `psro --help` shows, so that a
new option is tried without being named here. They run in worker processes with a limit on time and
on memory. What counts as a failure: a traceback, an exit code that is not documented, a refusal
that is not one clear sentence, a hang, memory beyond the limit, a crash, or an experiment that a
refused command has changed. A run that begins to train is stopped there, but for some, which train
for a while.
"""

from __future__ import annotations

import argparse
import base64
import collections
import contextlib
import dataclasses
import io
import json
import os
import queue
import re
import resource
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import hypothesis
from hypothesis import strategies as st

from games.ways import BACKENDS, EVALUATIONS
from psro import cli
from psro.measure import exploiter
from psro.metagame.solvers import META_SOLVERS, settings_of
from psro.metagame.solvers.regret_minimisers import REGRET_MINIMISERS
from psro.oracles import CONFIGS, ORACLES, PPOConfig
from psro.policies.initial import INITS
from psro.policies.networks import CELLS, DTYPES
from psro.runs import experiment
from psro.runs import export as sharing
from psro.runs.config import RunConfig
from psro.runs.experiment import Experiment
from psro.variants.diversity import TERMS
from psro.variants.expansions import EXPANSIONS
from psro.variants.published import VARIANTS
from psro.views.server import LoopbackServer

SECONDS = 60.0
"""Wall time that an input may take, with a machine that is busy in mind."""
GIBIBYTES = 6.0
"""Of data that a worker may hold, jax's and OpenSpiel's own included."""
TRAINING_SECONDS = 5.0
"""For how long the runs that train do so at most."""
CODES = {
    0: "done",
    2: "refused",
    128 + signal.SIGINT: "interrupted",
    128 + signal.SIGTERM: "terminated",
}
"""Exit codes of `psro` that are documented."""
MOST_WORDS = 4_000
"""Characters of a refusal that somebody still reads; tyro repeats what it was given in a box."""
_CHUNK = 500  # inputs that one seed of hypothesis draws


@dataclasses.dataclass(frozen=True)
class Input:
    """A command line, and what the settings file `run.toml` or `run.json` beside it holds, which it
    may name. `train`: not to be stopped where training begins."""

    arguments: tuple[str, ...]
    settings: bytes = b""
    train: bool = False

    @property
    def command(self) -> str:
        return self.arguments[0] if self.arguments[:1] and self.arguments[0] in COMMANDS else "psro"

    def __str__(self) -> str:
        line = f"psro {shlex.join(self.arguments)}"
        used = any("run.toml" in each or "run.json" in each for each in self.arguments)
        return f"{line!r}, settings {self.settings!r}" if used else repr(line)

    def as_json(self) -> str:
        encoded = base64.b64encode(self.settings).decode()
        return json.dumps([self.arguments, encoded, self.train])

    @classmethod
    def from_json(cls, text: str) -> Input:
        arguments, settings, train = json.loads(text)
        return cls(tuple(arguments), base64.b64decode(settings), train)


# The commands and their options, as `--help` shows them


@dataclasses.dataclass(frozen=True)
class Command:
    """`options` maps each to what it takes: INT, FLOAT, STR, or nothing (""); `positional` is how
    many words it takes besides: 0, 1, or 2 for any number."""

    options: Mapping[str, str]
    positional: int


def _help(*arguments: str) -> str:
    shown = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
        cli.main([*arguments, "--help"])
    shown.flush()
    return re.sub("\x1b\\[[0-9;]*m", "", shown.buffer.getvalue().decode())


def _commands() -> dict[str, Command]:
    found = {}
    for name in re.search(r"{([\w,]+)}", _help())[1].split(","):
        text = _help(name)
        options = {
            option: {"": "", "N": "INT", "X": "FLOAT"}.get(taken, "STR")
            for option, taken in re.findall(r"│ (--[\w.-]+)(?: ([A-Z]+))?(?: |\n)", text)
        }
        positional = re.findall(r"│ (\[?[A-Z]{2,}(?: \.\.\.)?)", text)
        count = 2 if "..." in "".join(positional) else len(positional)
        found[name] = Command(options=options, positional=count)
    return found


COMMANDS = _commands()


# Values


_SHORT_INTEGERS = st.sampled_from([1, 1, 2, 3, 4, 8, 16, 32])
_EDGES = st.sampled_from(
    [
        0, -1, 7, 2**31 - 1, 2**31, 2**32, 2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 2**64,
        10**9, 10**18, 10**30, 10**308, 10**400, -(10**400),
    ]
)  # fmt: skip
_NUMBERS = st.sampled_from(
    ["0.0", "-0.0", "0.5", "1.0", "1e-9", "1e-320", "-1.5", "1e308", "1e309", "-1e308", "nan",
     "inf", "-inf", "NaN", "1_000", "0x10", "1e3", "١٢", "+3", "½", "1,5", "true", "None"]
)  # fmt: skip
_WORDS = st.one_of(
    st.sampled_from(
        ["", " ", "-", "--", "-h", "--help", "\n", "a\nb", "\t", "\x1b[31mred", "é", "漢字", "🂡",
         "\udcff", "\u202e", "'", '"', "[bold]", "[/bold]", "{}", "%s", "$HOME", "~", "*", "None",
         "null", "=", "--game", "true", "False", "x" * 300, "x" * 5_000, "é" * 100_000,
         "(" * 1_000]
    ),
    st.text(st.characters(exclude_characters="\0"), max_size=20),
)  # fmt: skip
_PATHS = st.sampled_from(
    ["run", "run.psro", "empty", "binary", "text", "missing", "missing/below", "text/below", "new",
     "new", "good.toml", "run/config.json", "run/payoffs.safetensors", "/", ".", "..", "/dev/null",
     "/proc/self/mem", "/nonexistent/x", "a" * 300, "new.png", "new.svg", "new.gif", "new.html",
     "run/new", "seeds", "rps.csv", "broken.csv", "broken.efg", "broken.nfg", "broken.npy",
     "broken.npz", "x.csv", "empty.csv", "run.toml", "run.json", "loop", "run/.lock", "pipe",
     "sampled", "sampled", "sampled.psro"]
)  # fmt: skip
_PARAMETERS = st.sampled_from(
    ["players", "num_cards", "num_dice", "numdice", "dice_sides", "rows", "columns", "board_size",
     "coins", "fields", "imp_info", "points_order", "filename", "horizon", "size", "max_turns",
     "suit_isomorphism", "obstype", "payoff_matrix", "num_turns", "num_players", "game", "points"]
)  # fmt: skip
_GAME_NAMES = st.sampled_from(
    ["kuhn_poker", "leduc_poker", "liars_dice", "goofspiel", "tiny_hanabi", "blotto", "matrix_rps",
     "hex", "go", "chess", "battleship", "dark_hex", "phantom_ttt", "bargaining", "negotiation",
     "oware", "mnk", "universal_poker", "repeated_game", "turn_based_simultaneous_game", "nfg_game",
     "efg_game", "first_sealed_auction", "catch", "coop_box_pushing", "colored_trails", "lewis",
     "trade_comm", "y", "nim", "pig", "sheriff", "havannah", "cursor_go", "add_noise", "misere"]
)  # fmt: skip
_PARAMETER_VALUES = st.one_of(
    _SHORT_INTEGERS.map(str),
    _EDGES.map(str),
    st.sampled_from(
        ["True", "False", "descending", "kuhn_poker", "/dev/zero", "pipe", "text", "binary", "",
         "1e9", "1.5", "nan", "goofspiel(num_cards=1000000000)", "(((", "[1;2]", "1000", "13"]
    ),
)  # fmt: skip


def _called(names: st.SearchStrategy, settings: st.SearchStrategy, values: st.SearchStrategy):
    """`name(setting=value,...)`."""
    pairs = st.lists(st.tuples(settings, values).map("=".join), min_size=1, max_size=3)
    return st.builds(lambda name, inside: f"{name}({','.join(inside)})", names, pairs)


_GOOD_GAMES = st.sampled_from(
    ["kuhn_poker", "matrix_rps", "tiny_hanabi", "kuhn_poker(players=3)", "rps.csv", "matrix_bos",
     "goofspiel(imp_info=True,num_cards=3,points_order=descending)", "good.efg", "phantom_ttt",
     "dark_hex(board_size=3)", "liars_dice(numdice=2)", "oh_hell", "dark_chess", "negotiation"]
)  # fmt: skip
_GAMES = st.one_of(
    _GOOD_GAMES,
    _GOOD_GAMES,
    _GOOD_GAMES,
    _GAME_NAMES,
    _PATHS,
    _WORDS,
    _called(_GAME_NAMES, _PARAMETERS, _PARAMETER_VALUES),
)
_SOLVER_SETTINGS = sorted(
    {name for solver in META_SOLVERS.values() for name in settings_of(solver)}
)
_SOLVERS = st.one_of(
    st.sampled_from([*META_SOLVERS, "least_exploitable"]),
    _called(
        st.sampled_from(list(META_SOLVERS)),
        st.sampled_from(_SOLVER_SETTINGS),
        st.one_of(_SHORT_INTEGERS.map(str), _EDGES.map(str), _NUMBERS, _WORDS),
    ),
)


def _one_of(known: Mapping) -> st.SearchStrategy[str]:
    return st.sampled_from(list(known))


_KNOWN: dict[str, st.SearchStrategy[str]] = {
    "game": _GAMES,
    "meta_solver": _SOLVERS,
    "evaluation_solver": _SOLVERS,
    "oracle": _one_of(ORACLES),
    "cell": _one_of(CELLS),
    "dtype": _one_of(DTYPES),
    "expansion": _one_of(EXPANSIONS),
    "regret_minimiser": _one_of(REGRET_MINIMISERS),
    "diversity": _one_of(TERMS),
    "init": _one_of(INITS),
    "observation": st.sampled_from(["information_state", "observation"]),
    "variant": _one_of(VARIANTS),
    "log": st.sampled_from(["tensorboard", "tensorboard"]),
    "x": st.sampled_from(["iterations", "decisions", "seconds"]),
    "device": st.sampled_from(["cpu", "gpu", "tpu"]),
    "evaluation": st.sampled_from(EVALUATIONS),
    "backend": st.sampled_from(BACKENDS),
    "exploiter_oracle": _one_of(ORACLES),
    "import": st.sampled_from(["json", "games.native", "nothing.of.this.name", "text", "run"]),
    "config": st.sampled_from(["run.toml", "run.toml", "run.toml", "run.json", "good.toml"]),
}
"""Values that are mostly sound, where an option's type does not tell them."""


def _values(option: str, kind: str) -> st.SearchStrategy[str]:
    """Of an option, two thirds of them of its type."""
    name = option.removeprefix("--").replace("-", "_")
    anything = st.one_of(_WORDS, _PATHS, _NUMBERS, _EDGES.map(str))
    if name in _KNOWN:
        return st.one_of(*[_KNOWN[name]] * 5, anything)
    if kind == "INT":
        sound = st.one_of(_SHORT_INTEGERS, _SHORT_INTEGERS, _EDGES, st.integers()).map(str)
    elif kind == "FLOAT":
        sound = st.one_of(_NUMBERS, st.floats().map(repr), *[st.floats(0, 1).map(repr)] * 2)
    else:
        sound = _PATHS
    return st.one_of(*[sound] * 4, anything)


@st.composite
def _typed(draw, option: str, kind: str) -> list[str]:
    """An option as somebody may type it."""
    how = draw(st.integers(0, 39))
    if how == 0:
        return [option]
    if how == 1:
        return [option[: draw(st.integers(2, len(option)))], draw(_values(option, kind))]
    if how == 2:
        return [option.replace("-", "_"), draw(_values(option, kind))]
    if not kind:
        return [option] if how > 4 else [option, draw(_WORDS)]
    value = draw(_values(option, kind))
    return [f"{option}={value}"] if how % 4 == 0 else [option, value]


@st.composite
def _lines(draw, name: str) -> tuple[str, ...]:
    """Command lines of one command."""
    command = COMMANDS[name]
    known = ["--help", *command.options]  # those of oracles' settings, with a dot, are most
    few = st.sampled_from([each for each in known if "." not in each])
    most = draw(st.sampled_from([1, 2, 6]))
    options = draw(st.lists(st.one_of(few, st.sampled_from(known)), max_size=most))
    if "--help" in options and draw(st.integers(0, 9)):  # which leaves nothing else to try
        options = [each for each in options if each != "--help"]
    words = [word for each in options for word in draw(_typed(each, command.options.get(each, "")))]
    if command.positional:
        values = _GAMES if name == "games" else st.one_of(_PATHS, st.just("run"), _WORDS)
        most = 4 if command.positional > 1 else command.positional
        # One word too few or too many at times.
        least = max(0, command.positional - 1) if draw(st.integers(0, 9)) == 0 else 1
        given = draw(st.lists(values, min_size=least, max_size=most))
        words = [*given, *words] if draw(st.booleans()) else [*words, *given]
    if name == "run":
        base = ["--oracle", "best_response", "--iterations", "1"] if draw(st.booleans()) else []
        words = [*base, *words]
        if draw(st.integers(0, 3)) == 0:
            words += ["--config", draw(st.sampled_from(["run.toml", "run.json"]))]
    return name, *words


def _toml(value: object) -> str:
    if isinstance(value, str):
        return json.dumps(value.encode("utf-8", "replace").decode())
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value)


@st.composite
def _setting(draw, name: str, kind: str) -> object:
    """The value of a field of `RunConfig` or of an oracle's settings."""
    if name in _KNOWN and draw(st.integers(0, 3)):
        return draw(_KNOWN[name])
    sound = {
        "int": st.one_of(_SHORT_INTEGERS, _EDGES),
        "float": st.one_of(st.floats(), st.floats(0, 1)),
        "bool": st.booleans(),
    }.get(kind, _WORDS)
    anything = st.one_of(
        _WORDS, _EDGES, st.floats(), st.booleans(), st.lists(st.integers(), max_size=3),
    )  # fmt: skip
    return draw(st.one_of(sound, sound, anything))


@st.composite
def _settings_files(draw) -> bytes:
    """Texts of settings, as TOML or, at times, as JSON; some of them damaged."""
    lines, fields = [], {}
    kinds = {None: RunConfig, **CONFIGS}
    for owner in [None, *draw(st.lists(st.sampled_from(list(CONFIGS)), max_size=2))]:
        own = fields
        if owner is not None:
            own = fields[owner] = {}
        lines += [] if owner is None else [f"[{owner}]"]
        known = {each.name: each.type for each in dataclasses.fields(kinds[owner])}
        for name in draw(st.lists(st.sampled_from(list(known)), max_size=4)):
            own[name] = draw(_setting(name, known[name]))
            raw = draw(st.integers(0, 9)) == 0
            lines.append(f"{name} = {draw(_NUMBERS) if raw else _toml(own[name])}")
        if draw(st.integers(0, 19)) == 0:
            lines.append(f"{draw(_WORDS)!r} = 1979-05-27")
    if draw(st.integers(0, 3)) == 0:
        data = json.dumps(draw(st.one_of(st.just(fields), st.just({"run": fields})))).encode()
    else:
        data = "\n".join(lines).encode("utf-8", "replace")
    damage = draw(st.integers(0, 9))
    if damage == 0:
        data = data[: draw(st.integers(0, len(data)))]
    elif damage in (1, 2):
        at = draw(st.integers(0, len(data)))
        width = draw(st.integers(0, 3))
        data = data[:at] + draw(st.binary(max_size=4)) + data[at + width :]
    elif damage == 3:
        data = draw(st.sampled_from([b"[" * 100_000, b"a=" + b"[" * 5_000, b"a." * 5_000 + b"a=1",
                                     b'{"a":' * 5_000, b"\xff\xfe", b"[run]", b"run = 1", b"[]",
                                     b"null", b"1", b"iterations = " + b"9" * 5_000]))  # fmt: skip
    return data


@st.composite
def _drawn_inputs(draw) -> Input:
    which = draw(st.integers(0, 9))
    if which == 0:  # no command at all, or none that is known
        arguments = tuple(draw(st.lists(st.one_of(_WORDS, _one_of(COMMANDS)), max_size=3)))
    elif which < 6:
        arguments = draw(_lines("run"))
    else:
        arguments = draw(st.sampled_from(list(COMMANDS)).flatmap(_lines))
    return Input(
        arguments=arguments,
        settings=draw(_settings_files()) if any("run." in each for each in arguments) else b"",
        train=arguments[:1] in (("run",), ("resume",), ("eval",)) and draw(st.integers(0, 29)) == 0,
    )


def inputs(count: int, seed: int) -> list[Input]:
    """Distinct ones, the same for the same numbers."""
    drawn: dict[Input, None] = {}
    chunk = 0
    while len(drawn) < count:
        _draw(drawn, seed * 1_000_000 + chunk)
        chunk += 1
    return list(drawn)[:count]


def _draw(drawn: dict[Input, None], seed: int) -> None:
    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=_CHUNK,
        phases=[hypothesis.Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(_drawn_inputs())
    def note(each: Input) -> None:
        drawn[each] = None

    note()


# One input, in this process


class _Began(BaseException):
    """Training has begun as it should, and is not to go on, or has for long enough."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How an input ended: in a word, and what is wrong with that, if anything is."""

    word: str
    wrong: str = ""


def make_world(folder: Path) -> None:
    """The files that inputs name: a good experiment and an exported one, good and bad games."""
    folder.mkdir(parents=True)
    run = psro_run(folder / "run")
    sharing.export(run.folder, folder / "run.psro")
    sampled = experiment.run(
        RunConfig(
            evaluation="sampled",
            iterations=2,
            payoff_episodes=128,
            hidden_size=4,
            ppo=PPOConfig(decisions=256, num_envs=32, num_strata=4, evaluations=1),
        ),
        out=folder / "sampled",
    )
    sharing.export(sampled.folder, folder / "sampled.psro")
    seeds = folder / "seeds"
    shutil.copytree(folder / "run", seeds / "seed-0")
    (folder / "empty").mkdir()
    (folder / "binary").write_bytes(bytes(range(256)) * 40)
    (folder / "text").write_text("no folder\n")
    (folder / "good.toml").write_text('oracle = "best_response"\niterations = 1\n')
    (folder / "rps.csv").write_text("0,-1,1\n1,0,-1\n-1,1,0\n")
    (folder / "empty.csv").write_text("")
    (folder / "good.efg").write_text(
        'EFG 2 R "coin" { "A" "B" }\np "" 1 1 "" { "L" "R" } 0\n'
        't "" 1 "" { 1, -1 }\np "" 2 1 "" { "l" "r" } 0\n'
        't "" 2 "" { 0, 0 }\nt "" 3 "" { -1, 1 }\n'
    )
    for ending in ("csv", "efg", "nfg", "npy", "npz"):
        (folder / f"broken.{ending}").write_bytes(b"\x93NUMPY 1,2\nEFG NFG \xff\x00")
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "pipe")


def psro_run(folder: Path) -> Experiment:
    return experiment.run(
        RunConfig(oracle="best_response", iterations=2, tolerance=0.0), out=folder
    )


def state(folder: Path) -> dict[str, tuple[int, ...]]:
    """All files below a folder; two are equal where nothing was written."""
    found = {}
    for path in folder.rglob("*"):
        of = path.lstat()
        is_folder = path.is_dir() and not path.is_symlink()
        found[str(path.relative_to(folder))] = () if is_folder else (of.st_size, of.st_mtime_ns)
    return found


def _stderr_is_clear(text: str, given: Input) -> str:
    """What is wrong with the standard error of a refusal; "" for nothing."""
    if "Traceback" in text:
        return "a traceback"
    if len(text) > MOST_WORDS and "For full helptext" not in text:
        return f"a sentence of {len(text)} characters"
    if any(name in text and name not in str(given) for name in ("__tyro", "_RunOptions")):
        return "an internal name"
    if "For full helptext" in text:  # tyro's box
        return ""
    lines = [line for line in text.split("\n") if not line.startswith("note: ")]
    sentences, most = lines[:-1], len(given.arguments) if given.command == "games" else 1
    if (
        lines[-1] or not 1 <= len(sentences) <= most
    ):  # `psro games` has one for each that it refuses
        return f"no one clear sentence: {text[:600]!r}"
    if any(not line.startswith("psro: ") or len(line) < 20 for line in sentences):
        return f"no clear sentence: {text[:600]!r}"
    letters = "".join(sentences)
    unprintable = [letter for letter in letters if not (letter.isprintable() or letter >= "\ud800")]
    if unprintable:
        return f"{unprintable[0]!r} in {text[:600]!r}"
    return ""


def attempt(given: Input, world: Path, began: Callable[[], None] = lambda: None) -> Outcome:
    """Runs an input in the folder `world`, where a refused one must leave everything as it is."""
    for name in ("run.toml", "run.json"):
        (world / name).write_bytes(given.settings)
    before = state(world)
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace")
    code, failure = 0, ""
    with (
        contextlib.chdir(world),
        _stopped_where_it_begins(given.train, began) as stopped,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        stdin, sys.stdin = sys.stdin, io.StringIO("1\n2\n\nq\n")
        try:
            cli.main(list(given.arguments))
        except SystemExit as end:
            code = 0 if end.code is None else end.code
        except _Began:
            pass
        except BaseException:
            failure = traceback.format_exc()
        finally:
            sys.stdin = stdin
            err.flush()
    said = err.buffer.getvalue().decode()
    if failure:
        return Outcome("traceback", failure)
    if "Traceback" in said:
        return Outcome("traceback", said)
    if code not in CODES:
        return Outcome("exit code", f"exit code {code!r}: {said[:600]}")
    word = stopped[0] if stopped and not code else CODES[code]
    if word == "refused":
        if wrong := _stderr_is_clear(said, given):
            return Outcome("unclear", wrong)
        # A run that trained may be refused further on, and keeps what it had.
        if not stopped and (after := state(world)) != before:
            changed = sorted(name for name in before | after if before.get(name) != after.get(name))
            return Outcome("changed files", f"{changed} after {said[:300]!r}")
    return Outcome(word)


@contextlib.contextmanager
def _stopped_where_it_begins(train: bool, began: Callable[[], None]) -> Iterator[list[str]]:
    """Servers end as soon as they serve, training where it begins or, to `train`, after a while.
    What is yielded comes to hold what was stopped."""
    stopped: list[str] = []
    serve, trains, nice = LoopbackServer.serve_forever, Experiment.train, os.nice
    exploits = exploiter.exploit

    def served(server: LoopbackServer) -> None:
        stopped.append("served")

    def begin(self: Experiment, *workers) -> Iterator:
        stopped.append("began training")
        began()
        if not train:
            raise _Began
        stopped[:] = ["trained"]
        yield from trains(self, *workers)

    def exploit(*arguments, **settings):
        stopped.append("began training")
        began()
        if not train:
            raise _Began
        stopped[:] = ["trained"]
        return exploits(*arguments, **settings)

    def enough(number, frame) -> None:
        if stopped == ["trained"]:
            raise _Began

    LoopbackServer.serve_forever, Experiment.train = served, begin
    exploiter.exploit = exploit
    os.nice = lambda by: 0  # `watch` steps back, which a process cannot undo
    before = signal.signal(signal.SIGALRM, enough)
    signal.setitimer(signal.ITIMER_REAL, TRAINING_SECONDS, 1.0)
    try:
        yield stopped
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        LoopbackServer.serve_forever, Experiment.train, os.nice = serve, trains, nice
        exploiter.exploit = exploits


def _without_settings(world: Path) -> dict[str, tuple[int, ...]]:
    return {name: of for name, of in state(world).items() if name not in ("run.toml", "run.json")}


def copy_world(whole: Path, world: Path) -> None:
    def copy(source: str, target: str) -> None:
        if Path(source).is_fifo():
            os.mkfifo(target)
        else:
            shutil.copy2(source, target)

    shutil.copytree(whole, world, symlinks=True, copy_function=copy)


# Worker processes


def work(whole: Path, world: Path) -> None:
    """Reads inputs as lines of JSON and answers each with its outcome; what anything prints beside
    goes nowhere."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    questions = os.fdopen(os.dup(0))
    for each in (0, 1, 2):
        os.dup2(nowhere, each)
    most = int(GIBIBYTES * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    copy_world(whole, world)
    expected = _without_settings(world)
    answers.write("ready\n")
    for line in questions:
        outcome = attempt(Input.from_json(line), world, lambda: answers.write("began\n"))
        if _without_settings(world) != expected:
            shutil.rmtree(world)
            copy_world(whole, world)
            expected = _without_settings(world)
        answers.write(json.dumps([outcome.word, outcome.wrong]) + "\n")


class Worker:
    """A process that tries inputs, made anew when one of them has cost it its life."""

    def __init__(self, whole: Path, place: Path):
        self._whole, self._place, self._made = whole, place, 0
        self._process: subprocess.Popen | None = None

    def attempt(self, given: Input) -> Outcome:
        if self._process is None:
            self._start()
        self._process.stdin.write(f"{given.as_json()}\n".encode())
        self._process.stdin.flush()
        until, answer = time.monotonic() + SECONDS, ""
        trains = False
        while answer in ("", "began"):
            answer = self._line(until)
            if answer is None:
                self.stop()
                if trains and given.train:  # within one call of a library, which hears no alarm
                    return Outcome("trained")
                return Outcome("hang", f"more than {SECONDS:g} s")
            if answer == "":
                code = self._process.wait()
                self.stop()
                return Outcome("crash", f"the process died, {code}")
            trains |= answer == "began"
        return Outcome(*json.loads(answer))

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process.stdin.close()
            self._process.stdout.close()
            self._process = None

    def _start(self) -> None:
        self._made += 1
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(sys.path[1:]),
            "JAX_PLATFORMS": "cpu",
            "MPLBACKEND": "agg",
            "PSRO_TREE_CACHE": "",
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
            "HOME": str(self._place),
            "XDG_CACHE_HOME": str(self._place / "cache"),
        }
        world = self._place / f"world-{self._made}"
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--work", str(self._whole), str(world)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            bufsize=0,
        )
        if self._line(time.monotonic() + 600) != "ready":
            raise RuntimeError("a worker did not start")

    def _line(self, until: float) -> str | None:
        """What the process says next; "" where it has ended, None when time is up."""
        said = b""
        while not said.endswith(b"\n"):
            left = until - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                return None
            part = self._process.stdout.read(1 << 16)
            if not part:
                return ""
            said += part
            if said == b"began\n":
                return "began"
            said = said.removeprefix(b"began\n")
        return said.decode().strip()


def fuzz(given: Mapping[int, Input], num_workers: int, quiet: bool = False) -> int:
    """Tries all inputs, by their numbers, and prints what came of them; the number of failures."""
    waiting: queue.SimpleQueue[tuple[int, Input]] = queue.SimpleQueue()
    for item in given.items():
        waiting.put(item)
    counts: collections.Counter[tuple[str, str]] = collections.Counter()
    failed: list[int] = []
    lock, began = threading.Lock(), time.monotonic()

    def serve(worker: Worker) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                number, each = waiting.get_nowait()
                outcome = worker.attempt(each)
                with lock:
                    counts[each.command, outcome.word] += 1
                    if outcome.wrong:
                        failed.append(number)
                        print(f"FAILED {number}: {outcome.word}: {str(each)[:500]}")
                        print(f"    {outcome.wrong[-3_000:]}", flush=True)
                    done = sum(counts.values())
                    if done % 100 == 0 and not quiet:
                        seconds = time.monotonic() - began
                        print(f"{done} inputs, {len(failed)} failed, {seconds:.0f} s", flush=True)

    with tempfile.TemporaryDirectory() as root:
        whole = Path(root) / "whole"
        make_world(whole)
        workers = []
        for number in range(num_workers):
            place = Path(root) / f"worker-{number}"
            place.mkdir()
            workers.append(Worker(whole, place))
        threads = [threading.Thread(target=serve, args=(each,)) for each in workers]
        try:
            for each in threads:
                each.start()
            for each in threads:
                each.join()
        finally:
            for each in workers:
                each.stop()
    for (command, word), count in sorted(counts.items()):
        print(f"{count:6} {command:10} {word}")
    print(
        f"{sum(counts.values())} inputs in {time.monotonic() - began:.0f} s, {len(failed)} failed"
    )
    return len(failed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="leave out those before this number")
    parser.add_argument("--only", type=int, nargs="+", help="try the inputs of these numbers")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--work", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(*options.work)
        return
    wanted = options.only or range(options.first, options.inputs)
    drawn = inputs(max(wanted) + 1, options.seed)
    if fuzz({number: drawn[number] for number in wanted}, options.workers):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
