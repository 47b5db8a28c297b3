"""Feeds odd entrants and odd Python files to `psro arena`, and checks how each of them ends.

    python experiments/trust/fuzz_arena.py --inputs 600 --seed 0

Agents fail in every way that comes to mind: at import, in the middle of a game, by what they
return, by what they do to their process, its pipes and its limits. What counts as a failure: a
traceback, an exit code other than 0 and 2, a refusal that is not one sentence, output that is no
JSON, a hang, or a process that is left behind. Exit code 1 says that something failed.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import io
import json
import os
import random
import shlex
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import psro
from psro import cli

SECONDS = 120
"""Wall time that an input may take, with a machine that is busy in mind."""
_HEAD = "import os, sys, time, signal, threading, resource\n"

BODIES = {
    "first": "return legal_actions[0]",
    "last": "return legal_actions[-1]",
    "random": "return rng.choice(legal_actions)",
    "none": "return None",
    "text": "return 'bet'",
    "number_as_text": "return '0'",
    "not_a_number": "return float('nan')",
    "a_float": "return 0.0",
    "a_bool": "return True",
    "huge": "return 10 ** 400",
    "negative": "return -1",
    "a_list": "return legal_actions",
    "itself": "return act",
    "bad_index": "return type('I', (), {'__index__': lambda self: 1 / 0})()",
    "bad_repr": "return type('R', (), {'__repr__': lambda self: 1 / 0})()",
    "long_repr": "return 'x' * 10 ** 7",
    "odd_repr": "return '\\x1b[31m\\n\\ud800\\u202e'",
    "raises": "raise ValueError('no \\ud800 \\x00 \\x1b[31m idea')",
    "raises_long": "raise ValueError('x' * 10 ** 6)",
    "raises_without_text": "raise type('E', (Exception,), {'__str__': lambda self: 1 / 0})()",
    "leaves": "sys.exit('bye')",
    "interrupts": "raise KeyboardInterrupt",
    "stops_iteration": "raise StopIteration",
    "exits": "os._exit(0)",
    "kills_itself": "os.kill(os.getpid(), signal.SIGKILL)",
    "crashes_in_c": "import ctypes; ctypes.string_at(0)",
    "recurs": "return act(observation, legal_actions, player, rng)",
    "hangs": "while True: pass",
    "sleeps": "time.sleep(1e6)",
    "ignores_signals": "[signal.signal(s, signal.SIG_IGN) for s in (2, 15)]; time.sleep(1e6)",
    "eats": "x = []\n    while True: x.append(bytearray(1 << 24))",
    "eats_at_once": "return len(bytearray(1 << 40))",
    "raises_limits": "resource.setrlimit(resource.RLIMIT_DATA, (-1, -1)); return 0",
    "prints": "print('x' * 10 ** 5, flush=True); os.write(2, b'y'); return legal_actions[0]",
    "speaks_for_itself": "[os.write(d, b'{\"action\": 0}\\n') for d in range(3, 9) if _open(d)]; "
    "return 0",
    "babbles": "[os.write(d, b'\\xff' * 10 ** 5) for d in range(3, 9) if _open(d)]; return 0",
    "says_nothing_right": "[os.write(d, b'[1]\\n') for d in range(3, 9) if _open(d)]; return 0",
    "closes_pipes": "os.closerange(3, 50); time.sleep(1e6)",
    "closes_and_returns": "os.closerange(0, 50); return 0",
    "forks": "os.fork(); return legal_actions[0]",
    "leaves_a_child": "import subprocess; subprocess.Popen(['sleep', '1000']); return 0",
    "threads": "threading.Thread(target=time.sleep, args=(1e6,)).start(); return 0",
    "changes_arguments": "observation[:] = 7; legal_actions.clear(); return 0",
    "uses_words": "return legal_actions[len(observation.text) % len(legal_actions)]",
    "generates": "yield legal_actions[0]",
}
"""Bodies of `act`."""

FILES = {
    "empty": b"",
    "binary": bytes(range(256)),
    "syntax": b"def act(:",
    "encoding": b"# -*- coding: klingon -*-\n",
    "null": b"act = None",
    "three": b"act = 3",
    "five": b"def act(a, b, c, d, e): return 0",
    "nothing": b"def act(): return 0",
    "one": b"def act(game): return game",
    "two": b"def act(game, player): return player",
    "three_arguments": b"def act(observation, legal, rng): return legal[0]",
    "stars": b"def act(*arguments): return arguments[1][0]",
    "names_only": b"def act(*, observation, legal_actions, player, rng): return 0",
    "defaults": b"def act(o=0, l=(0,), p=0, r=0): return l[0]",
    "asynchronous": b"async def act(o, l, p, r): return l[0]",
    "a_class": b"class act:\n def act(self, o, l, p, r): return l[0]",
    "needs_more": b"class act:\n def __init__(self, x): pass\n def act(self, o, l, p, r): return 0",
    "bad_restart": b"class act:\n def restart(self): 1/0\n def act(self, o, l, p, r): return l[0]",
    "a_lambda": b"act = lambda o, l, p, r: l[0]",
    "a_module": b"import os as act",
    "a_type": b"act = int",
    "builtin": b"act = max",
    "exits": b"import os; os._exit(1)",
    "leaves": b"raise SystemExit('bye')",
    "interrupts": b"raise KeyboardInterrupt",
    "sleeps": b"import time; time.sleep(1e6)",
    "eats": b"held = bytearray(1 << 40)",
    "imports_nothing": b"import no_such_module_at_all",
    "imports_itself": b"import imports_itself\ndef act(o, l, p, r): return l[0]",
    "hooks": b"import sys; sys.modules['json'] = None; sys.stdout = None\n"
    b"def act(o, l, p, r): return l[0]",
    "odd_attribute": b"class A:\n def __getattr__(self, name): raise RuntimeError(name)\nact = A()",
    "any_attribute": b"class A:\n def __getattr__(self, name): return self\nact = A()",
    "policy": b"from open_spiel.python import policy\n"
    b"def act(game): return policy.UniformRandomPolicy(game)",
    "bot": b"from open_spiel.python.bots.uniform_random import UniformRandomBot as act",
    "bad_policy": b"class act:\n def __init__(self, game): pass\n"
    b" def action_probabilities(self, state, player=None): return {7: 1.0}",
    "nan_policy": b"class act:\n def __init__(self, game): pass\n"
    b" def action_probabilities(self, state, player=None): return {0: float('nan')}",
    "sleeping_policy": b"import time\nclass act:\n def __init__(self, game): pass\n"
    b" def action_probabilities(self, state, player=None): time.sleep(1e6)",
    "bad_bot": b"class act:\n def __init__(self, game, player): pass\n"
    b" def step(self, state): return 'x'\n def restart(self): 1/0",
}
"""Whole files that are no ordinary agents."""

WORDS = ["uniform", "cfr+", "equilibrium", "mcts", "Uniform", "cfr", "best", "random"]
ODD = [
    "", " ", "-", "--", "=", "a=", "=a", "a=b=c", ":", ".py", ":act", "x.py:", "first.py:",
    "first.py:a.b", "first.py:__name__", "first.py:__builtins__", "first.py:act:act", "/", ".",
    "..", "/dev/null", "/dev/zero", "missing", "missing.py", "missing.psro", "text",
    "run/config.json", "damaged", "x" * 5_000, "é=uniform", "\x1b[31m=uniform",
    "[bold]=uniform", "<b>=uniform", "\udcff", "\n=uniform", "漢字=cfr+", "folder.py",
    "folder.py:act", "link.py", "pipe.py",
]  # fmt: skip
GAMES = [
    "kuhn_poker", "kuhn_poker", "kuhn_poker", "matrix_rps", "matrix_bos", "kuhn_poker(players=3)",
    "dark_chess", "tic_tac_toe", "catch", "no_such_game", "", "rps.csv", "text", "/",
    "pgx::no_such", "gymnax::CartPole-v1",
]  # fmt: skip
OPTIONS = [
    ("--episodes", ["0", "-1", "1", "2", "3", "x", "1e3", str(10**30)]),
    ("--seed", ["-1", "0", "7", str(2**63), str(2**64), "x"]),
    ("--memory", ["0", "63", "64", "512", "x", str(10**12)]),
    ("--action-seconds", ["0", "-1", "nan", "inf", "0.2", "x", "1e-9"]),
    ("--start-seconds", ["0", "nan", "3", "x", "1e-9"]),
    ("--cfr-iterations", ["0", "1", "x", str(10**18)]),
    ("--simulations", ["0", "1", "x", str(10**18)]),
    ("--out", ["page.html", "x.csv", "x.json", "x.svg", "x.txt", "", "/", "/none/x.csv", "run"]),
    ("--json", [None]),
    ("--nonsense", [None, "1"]),
]  # fmt: skip


def prepare(folder: Path) -> list[str]:
    """Writes all files into a folder; the names of the agents."""
    sources = []
    helper = (
        "def _open(d):\n    try: os.fstat(d)\n    except OSError: return False\n    return True\n"
    )
    for name, body in BODIES.items():
        text = f"{_HEAD}{helper}def act(observation, legal_actions, player, rng):\n    {body}\n"
        (folder / f"{name}.py").write_text(text)
        sources.append(f"{name}.py")
    for name, content in FILES.items():
        (folder / f"file_{name}.py").write_bytes(content)
        sources.append(f"file_{name}.py")
    (folder / "text").write_text("no game and no run")
    (folder / "rps.csv").write_text("0,-1,1\n1,0,-1\n-1,1,0\n")
    (folder / "folder.py").mkdir()
    (folder / "link.py").symlink_to("missing.py")
    os.mkfifo(folder / "pipe.py")
    config = psro.RunConfig(game="kuhn_poker", oracle="best_response", iterations=1)
    psro.run(config, folder / "run")
    psro.export(folder / "run", folder / "run.psro")
    (folder / "damaged").mkdir()
    (folder / "damaged" / "config.json").write_text("{}")
    return sources


def drawn(rng: random.Random, sources: list[str]) -> list[str]:
    """A command line."""
    pools = [sources] * 6 + [WORDS[:4]] * 3 + [WORDS, ODD, ["run", "run.psro", "./run"]]
    entrants = [rng.choice(rng.choice(pools)) for _ in range(rng.choice([1, 2, 2, 3, 4]))]
    entrants = [f"{rng.choice(ODD)}={one}" if rng.random() < 0.05 else one for one in entrants]
    words = ["arena", *entrants]
    if rng.random() < 0.97:
        words += ["--game", rng.choice(GAMES) if rng.random() < 0.4 else "kuhn_poker"]
    words += ["--episodes", "2", "--action-seconds", "0.4", "--memory", "256"]
    words += ["--start-seconds", "4"]
    while rng.random() < 0.3:
        option, values = rng.choice(OPTIONS)
        value = rng.choice(values)
        words += [option] if value is None else [option, value]
    if rng.random() < 0.5:
        words.append("--json")
    return words


class Hang(BaseException):
    """An input has taken too long."""


def fault(words: list[str]) -> tuple[str | None, int]:
    """What is wrong with how a command line ends, if anything is, and its exit code."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    signal.alarm(SECONDS)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            cli.main(words)
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 1
    except Hang:
        return "it hangs", -1
    except BaseException:
        return traceback.format_exc(), -1
    finally:
        signal.alarm(0)
    said = err.getvalue()
    if code not in (0, 2):
        return f"exit code {code}: {said}", code
    if code == 2 and not said.strip():
        return "refused without a word", code
    if code == 2 and said.startswith("psro:") and said.count("\n") != 1:
        return f"not one sentence: {said}", code
    if code == 0 and "--json" in words:
        try:
            json.loads(out.getvalue(), parse_constant=lambda name: 1 / 0)
        except (ValueError, ZeroDivisionError):
            return f"no JSON: {out.getvalue()[:200]}", code
    return left_behind(), code


def left_behind() -> str | None:
    """Processes of agents that live on."""
    time.sleep(0.01)
    alive = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (folder / "cmdline").read_bytes().decode(errors="replace")
            if "guest.py" in line and str(os.getcwd()) == os.readlink(folder / "cwd"):
                alive.append(line.replace("\0", " "))
    return f"left behind: {alive}" if alive else None


def _hang(number: int, frame: object) -> None:
    raise Hang


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, codes, faults = random.Random(options.seed), collections.Counter(), 0
    signal.signal(signal.SIGALRM, _hang)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        sources = prepare(Path(folder))
        for number in range(options.inputs):
            words = drawn(rng, sources)
            begun = time.perf_counter()
            wrong, code = fault(words)
            codes[code] += 1
            seconds = time.perf_counter() - begun
            if wrong is not None:
                faults += 1
                print(f"{number}: psro {shlex.join(words)}\n{wrong}".encode("utf-8", "replace"))
            if number % 50 == 49:
                print(f"{number + 1} inputs, {dict(codes)}, {faults} faults, last {seconds:.1f} s")
                sys.stdout.flush()
        os.chdir("/")
    print(f"{options.inputs} inputs, exit codes {dict(codes)}, {faults} faults")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
