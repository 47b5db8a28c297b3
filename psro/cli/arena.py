"""`psro arena`."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from psro.cli.arguments import Files, Flag, Imports, MaybeName, Number, explained
from psro.cli.folders import proposed
from psro.cli.process import UsageError, hint, say

if TYPE_CHECKING:
    from psro.measure.arena import Arena

Entrants = Annotated[Positional[tuple[str, ...]], arg(metavar="ENTRANT ...", help_behavior_hint="")]
Seconds = Annotated[float, arg(metavar="SECONDS")]
_MOST_PARTS = 8
"""Parts of a path that the name of an entrant has at most."""


@explained
def meet(
    entrants: Entrants,
    game: MaybeName = None,
    episodes: Number = 200,
    seed: Number = 0,
    cfr_iterations: Number = 200,
    simulations: Number = 100,
    action_seconds: Seconds = 2.0,
    start_seconds: Seconds = 30.0,
    memory: Number = 1024,
    json: Flag = False,
    out: Files = (),
    imports: Imports = (),
) -> None:
    """Let populations, policies, bots and agents of your own meet, each against each in all seats.

    Args:
        entrants: Each is the folder of a run or of several seeds, a file of psro export, zoo:NAME
            (psro zoo lists them), FILE.py:NAME (an agent, or an OpenSpiel policy or bot), or a
            word: uniform, cfr+, equilibrium or mcts. NAME=ENTRANT gives it a name.
        game: The game. By default that of the first run among the entrants.
        episodes: Episodes of each seating of two entrants that are not both tables. Tables meet
            exactly.
        seed: Seed of all random numbers.
        cfr_iterations: Iterations of cfr+.
        simulations: Simulations of mcts at each decision.
        action_seconds: Wall time that an agent of a file may take for an action.
        start_seconds: Wall time until the file of an agent is imported.
        memory: Memory that the process of an agent may use, in MiB.
        json: Print one JSON object instead of tables.
        out: Files to write. The ending of each decides what it holds: .html a page that needs no
            other file, .csv or .json the results, .svg the response graph.
        imports: Modules that register the game or other plug-ins.
    """
    _check_files(out)
    named = named_entrants(entrants)
    from psro.measure.arena import Limits, Options, evaluate
    from psro.views import arena_tables, tables

    options = Options(
        cfr_iterations=cfr_iterations,
        simulations=simulations,
        seed=seed,
        imports=imports,
        limits=Limits(action_seconds=action_seconds, start_seconds=start_seconds, mebibytes=memory),
    )
    met = evaluate(game, named, episodes=episodes, options=options, progress=_progress())
    for name in out:
        _writers()[Path(name).suffix.lower()](met, Path(name))
    if json:
        import json as codec

        print(codec.dumps(arena_tables.as_json(met)))
        return
    arena_tables.print_arena(met, tables.console())
    for name in out:
        say(f"written: {name}")
    if not out:
        hint(proposed("arena", *entrants, "--game", met.game, "--out", "arena.html"))


def named_entrants(entrants: Sequence[str]) -> dict[str, str]:
    """Each source by its name: the one that is given (`NAME=SOURCE`), or else one made of the
    source. Folders of several seeds give each seed.

    Raises:
        UsageError: there is none, or two have one name.
    """
    from psro.runs.seed_folders import is_many, seed_folders

    if not entrants:
        raise UsageError("name at least one entrant, such as uniform")
    listed: list[_Listed] = []
    for entrant in entrants:
        name, equals, source = entrant.partition("=")
        if not equals or os.path.exists(entrant):
            name, source = "", entrant
        if not source or (equals and not name and source != entrant):
            raise UsageError(f"{entrant!r} must be an entrant, or NAME=ENTRANT")
        if is_many(source):
            for seed in map(str, seed_folders(source)):
                own = f"{name}/{Path(seed).name}" if name else ""
                listed.append(_Listed(own, seed, parts=2))
        else:
            listed.append(_Listed(name, source))
    _tell_apart(listed)
    sources: dict[str, str] = {}
    for one in listed:
        own = one.name if one.given else _free(one.name, sources)
        if own in sources:
            raise UsageError(f"two entrants are called {own!r}; name them as NAME=ENTRANT")
        sources[own] = one.source
    return sources


@dataclasses.dataclass
class _Listed:
    """An entrant as it is listed: the name that is given, if there is one, and its source."""

    given: str
    source: str
    parts: int = 1
    """Parts of the source's path that its name has, from the end."""

    @property
    def name(self) -> str:
        return self.given or _short(self.source, self.parts)


def _tell_apart(listed: Sequence[_Listed]) -> None:
    """Lengthens the names of different sources that are the same, such as those of the runs of a
    sweep: `0001/seed-0`."""
    for _ in range(_MOST_PARTS):
        called: dict[str, set[str]] = {}
        for one in listed:
            called.setdefault(one.name, set()).add(one.source)
        for one, alike in [(one, called[one.name]) for one in listed]:
            one.parts += len(alike) > 1


def _short(source: str, parts: int) -> str:
    """A name for a source: the agent's for `FILE.py:NAME`, or the last parts of a path."""
    file, colon, agent = source.rpartition(":")
    is_agent = bool(colon) and file.endswith(".py")
    path = Path(file if is_agent else source)
    last = path.stem if path.suffix in (".py", ".psro") else path.name or source
    if is_agent and agent != "act":
        last, parts = (agent, 1) if parts == 1 else (f"{last}:{agent}", parts - 1)
    above = path.parent.parts
    return "/".join([*above[max(0, len(above) - parts + 1) :], last])


def _free(name: str, taken: dict[str, str]) -> str:
    """A name that no other entrant has."""
    number = 2
    free = name
    while free in taken:
        free, number = f"{name} ({number})", number + 1
    return free


def _check_files(out: Sequence[str]) -> None:
    """Raises UsageError for a file of an ending that is not known."""
    for name in out:
        if Path(name).suffix.lower() not in _writers():
            raise UsageError(f"--out {name} must end in {', '.join(_writers())}")


def _writers() -> dict[str, Callable[[Arena, Path], object]]:
    """What writes a file, by its ending."""
    return {".html": _write_page, ".csv": _write_csv, ".json": _write_json, ".svg": _draw}


def _write_page(arena: Arena, path: Path) -> None:
    from psro.views import arena_page, page

    page.write(page.offline(arena_page.document(arena)), path)


def _write_csv(arena: Arena, path: Path) -> None:
    from psro.views import arena_tables

    arena_tables.write_csv(arena, path)


def _write_json(arena: Arena, path: Path) -> None:
    import json as codec

    from psro.runs import disk
    from psro.views import arena_tables

    with disk.writing(path):
        disk.write(path, codec.dumps(arena_tables.as_json(arena), indent=1) + "\n")


def _draw(arena: Arena, path: Path) -> None:
    from psro.runs import disk
    from psro.views.response_graph import svg

    with disk.writing(path):
        disk.write(path, svg(arena))


def _progress() -> Callable[[int, int], None] | None:
    """What shows how many rounds are played: for a person at a terminal only."""
    return _show_rounds if sys.stderr.isatty() else None


def _show_rounds(done: int, rounds: int) -> None:
    line = f"round {done:,} of {rounds:,}" if done < rounds else ""
    print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
