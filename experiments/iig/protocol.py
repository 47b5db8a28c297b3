"""Two stages: settings are chosen on games and seeds that are not reported, frozen, then run.

    python experiments/iig/protocol.py tune --shard 0/8      # candidates on the tuning games
    python experiments/iig/protocol.py freeze                # frozen.json, with its checksum
    python experiments/iig/protocol.py run --shard 2/8       # the frozen settings on fresh seeds
    python experiments/iig/protocol.py table                 # results.csv, curves.csv, table.md

`run` goes on where it was stopped, at the last finished iteration. `--games`, `--methods` and
`--seeds` choose among the runs; a shard is a part of those that are chosen. All of it trains by
episodes alone; exact figures are computed from the finished runs.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
COMMANDS = ("tune", "freeze", "run", "table")


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    result.add_argument("command", choices=COMMANDS)
    result.add_argument("--games", nargs="*", help="keys in protocol.toml; by default all")
    result.add_argument("--methods", nargs="*", help="names in methods.toml; by default all")
    result.add_argument("--seeds", nargs="*", type=int, help="by default all")
    result.add_argument("--shard", default="0/1", help="i/n: every n-th run, from the i-th on")
    result.add_argument("--minutes", type=float, default=float("inf"),
                        help="start no iteration after so many")  # fmt: skip
    result.add_argument("--list", action="store_true", help="print the runs, run nothing")
    result.add_argument("--untuned", action="store_true",
                        help="freeze: first candidates of untuned methods")  # fmt: skip
    result.add_argument("--folder", type=Path, default=HERE, help="of the protocol's files")
    result.add_argument("--runs", type=Path, help="by default runs/ beside the files")
    return result


def main(arguments: argparse.Namespace) -> int:
    """Returns the exit code: 0, 2 for what is refused, 3 if runs failed or variants are unknown, 75
    if the time was over."""
    one_core()
    from games import GameError
    from psro.errors import PsroError

    arguments.runs = arguments.runs or arguments.folder / "runs"
    try:
        command = {"tune": tune, "freeze": freeze, "run": run, "table": table}[arguments.command]
        return command(arguments)
    except (PsroError, GameError) as error:
        print(f"protocol: {error}", file=sys.stderr)
        return 2


def tune(arguments: argparse.Namespace) -> int:
    """Runs the candidates."""
    from plan import UnknownVariant, check_apart, tuning_units

    protocol, methods = declared(arguments)
    check_apart(protocol)
    units, unknown = [], 0
    for name in chosen_methods(arguments, methods):
        try:
            units += tuning_units(protocol, methods, [name])
        except UnknownVariant as error:
            print(error, flush=True)
            unknown = 3
    return carry_out(units, arguments) or unknown


def freeze(arguments: argparse.Namespace) -> int:
    """Chooses settings, and writes them down for good."""
    import frozen
    import results
    from plan import UnknownVariant, check_apart, tuning_units
    from unit import finished_row

    protocol, methods = declared(arguments)
    check_apart(protocol)
    path, tuned, unknown = arguments.folder / "frozen.json", [], 0
    for name in chosen_methods(arguments, methods):
        try:
            rows = [
                {"exploitability": None, **row}
                for unit in tuning_units(protocol, methods, [name])
                if (row := finished_row(unit, arguments.runs)) is not None
            ]
            choice = frozen.choose(
                name, methods[name], protocol["tuning"], rows, untuned=arguments.untuned
            )
            frozen.freeze(path, protocol, methods, {name: choice})
        except UnknownVariant as error:
            print(error, flush=True)
            unknown = 3
            continue
        tuned += rows if choice["tuned"] else []
        words = "tuned" if choice["tuned"] else "not tuned"
        print(f"{name}: candidate {choice['candidate']}, {words}", flush=True)
    results.add_tuning(tuned, arguments.folder)
    return unknown


def run(arguments: argparse.Namespace) -> int:
    """Runs the frozen settings."""
    import frozen
    from plan import ProtocolError, reported_units

    content = frozen.load(arguments.folder / "frozen.json")
    for name in arguments.methods or ():
        if name not in content["methods"]:
            raise ProtocolError(f"{name} is not frozen; run the command freeze --methods {name}")
    return carry_out(reported_units(content), arguments)


def table(arguments: argparse.Namespace) -> int:
    """Collects what ran."""
    import frozen
    import results
    from plan import read_toml, reported_units

    content = frozen.load(arguments.folder / "frozen.json")
    rows = results.collect(reported_units(content), arguments.runs, arguments.folder)
    published = read_toml(HERE / "published.toml")
    (arguments.folder / "table.md").write_text(results.table(rows, content, published))
    print(f"{len(rows)} of {len(reported_units(content))} runs are in results.csv")
    return 0


def carry_out(units: Sequence, arguments: argparse.Namespace) -> int:
    """Runs a shard of the chosen units, one after another."""
    from plan import shard
    from unit import carry_out as done_now
    from unit import finished_row

    from games import GameError
    from psro.errors import PsroError

    part = shard(chosen(units, arguments), arguments.shard)
    end, code = time.monotonic() + 60 * arguments.minutes, 0
    for number, unit in enumerate(part, start=1):
        words = f"{number} of {len(part)}: {' '.join(map(str, unit.key))}"
        if arguments.list:
            print(words, "done" if finished_row(unit, arguments.runs) else "missing")
            continue
        if time.monotonic() > end:
            return 75
        try:
            row = done_now(unit, arguments.runs, lambda: time.monotonic() > end)
        except (PsroError, GameError) as error:
            print(f"{words}: not run: {error}", flush=True)
            code = 3
            continue
        if row is None:
            print(f"{words}: goes on next time", flush=True)
            return 75
        measured = row.get("error") or f"exploitability {row['exploitability']}"
        print(f"{words}: {measured}, {row.get('cpu_seconds')} CPU s", flush=True)
    return code


def declared(arguments: argparse.Namespace) -> tuple[dict, dict]:
    """protocol.toml and methods.toml."""
    from plan import read_toml

    return tuple(read_toml(arguments.folder / f"{name}.toml") for name in ("protocol", "methods"))


def chosen_methods(arguments: argparse.Namespace, methods: dict) -> list[str]:
    """Raises ProtocolError for a name that is not there."""
    from plan import ProtocolError

    for name in arguments.methods or ():
        if name not in methods:
            raise ProtocolError(f"{name} is not in methods.toml; known: {', '.join(methods)}")
    return arguments.methods or list(methods)


def chosen(units: Sequence, arguments: argparse.Namespace) -> list:
    """The units of `--games`, `--methods` and `--seeds`. Raises ProtocolError for a game or seed
    that no unit has."""
    from plan import ProtocolError

    for option, wanted, known in (
        ("game", arguments.games, {unit.game for unit in units}),
        ("seed", arguments.seeds, {unit.seed for unit in units}),
    ):
        if missing := set(wanted or ()) - known:
            names = ", ".join(map(str, sorted(known)))
            raise ProtocolError(f"no run has the {option} {min(missing)}; known: {names}")
    return [
        unit
        for unit in units
        if (not arguments.games or unit.game in arguments.games)
        and (not arguments.methods or unit.method.split(".")[0] in arguments.methods)
        and (not arguments.seeds or unit.seed in arguments.seeds)
    ]


def one_core() -> None:
    """One core, so that CPU seconds mean the same for every method. The caches are those of the
    command."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    from psro.cli import process

    process.use_caches()


if __name__ == "__main__":
    sys.exit(main(parser().parse_args()))
