"""Our solutions beside pygambit's: equilibria as sets, pure ones, the logit correspondence and
maximal regrets, on random tables, random trees and the game files that pygambit ships.

    python -m pip install pygambit
    python experiments/solving/against_gambit.py

prints a line for each kind of game and comparison, and every disagreement.
"""

from __future__ import annotations

import dataclasses
import math
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pygambit

import games
from games.errors import GameError
from games.writers.gambit import efg, one_line, quoted
from psro import exact
from psro.errors import PsroError
from psro.exact.rational import enumeration, strategic
from psro.metagame.solve import solve
from psro.metagame.solve.nash import strategic_form

SCALED = (0.3, 1.0, 3.0)
"""lambda times the span of payoffs, at which the branches are compared."""

MOST_PROFILES = 2_000
"""Pure profiles above which pure equilibria and regrets are not compared."""

MOST_STRATEGIES = 16
"""Reduced strategies of a player, above which equilibria are not enumerated for the comparison."""


def random_table(rng: np.random.Generator, sizes: tuple[int, ...], spread: int) -> str:
    """A table of small integers as `.nfg`; the smaller `spread`, the more degenerate."""
    players = " ".join(f'"{chr(65 + p)}"' for p in range(len(sizes)))
    payoffs = rng.integers(-spread, spread + 1, int(np.prod(sizes)) * len(sizes))
    return f'NFG 1 R "" {{ {players} }} {{ {" ".join(map(str, sizes))} }}\n\n' + " ".join(
        map(str, payoffs)
    )


def random_tree(rng: np.random.Generator, num_players: int) -> str:
    """A tree as `.efg`: chance deals each player a type, then players move in turn; each sees its
    type and, of the moves before it, those that a coin shows it."""
    types, seen = rng.integers(1, 3, num_players), rng.random((num_players, num_players)) < 0.5
    turns = list(range(num_players))
    if num_players == 2:
        turns.append(int(rng.integers(num_players)))
    counts = rng.integers(2, 6 - num_players, len(turns))
    numbers: dict[tuple, int] = {}
    players = " ".join(f'"{chr(65 + p)}"' for p in range(num_players))
    lines, ends = [f'EFG 2 R "" {{ {players} }}'], iter(range(1, 1 << 20))
    deals = [tuple(deal) for deal in np.ndindex(*types)]
    weights = rng.integers(1, 4, len(deals))

    def below(deal: tuple, moves: tuple) -> None:
        if len(moves) == len(turns):
            paid = " ".join(map(str, rng.integers(-4, 5, num_players)))
            lines.append(f't "" {next(ends)} "" {{ {paid} }}')
            return
        mover = turns[len(moves)]
        known = tuple(
            move if q == mover or seen[mover][q] else None
            for q, move in zip(turns, moves, strict=False)
        )
        number = numbers.setdefault((mover, deal[mover], len(moves), known), len(numbers) + 1)
        actions = " ".join(quoted(f"m{k}") for k in range(counts[len(moves)]))
        lines.append(f'p "" {mover + 1} {number} "I{number}" {{ {actions} }} 0')
        for move in range(counts[len(moves)]):
            below(deal, (*moves, move))

    if len(deals) > 1:
        shares = " ".join(
            f'"{k}" {weight}/{weights.sum()}' for k, weight in enumerate(weights.tolist())
        )
        lines.append(f'c "" 1 "" {{ {shares} }} 0')
    for deal in deals:
        below(deal, ())
    return "\n".join([*lines, ""])


def made(folder: Path, count: int) -> Iterator[tuple[str, Path]]:
    """`count` random games of each of four kinds, and pygambit's own files."""
    for seed in range(count):
        rng = np.random.default_rng(seed)
        sizes = tuple(rng.integers(2, 6, 2).tolist())
        for kind, ending, text in (
            ("2-player table", "nfg", random_table(rng, sizes, (1, 3, 9)[seed % 3])),
            ("3-player table", "nfg", random_table(rng, (2, 3, 2), 9)),
            ("2-player tree", "efg", random_tree(rng, 2)),
            ("3-player tree", "efg", random_tree(rng, 3)),
        ):
            path = folder / f"{kind.replace(' ', '-')}-{seed}.{ending}"
            path.write_text(text)
            yield kind, path
    catalog = Path(pygambit.__file__).parent / "catalog_data"
    for path in sorted([*catalog.rglob("*.efg"), *catalog.rglob("*.nfg")]):
        yield "pygambit's files", path


@dataclasses.dataclass
class Compared:
    """A game in both libraries."""

    path: Path
    tree: games.GameTree
    other: pygambit.Game

    @classmethod
    def of(cls, path: Path, scratch: Path) -> Compared:
        """pygambit gets what we write of it, so that names are the same and unique."""
        tree = games.load(str(path))
        scratch.write_text(efg(tree))
        return cls(path, tree, pygambit.read_efg(str(scratch)))

    def plans(self, profile) -> tuple[tuple[float, ...], ...]:
        """Realization plans of a behaviour profile of pygambit's, rounded."""
        plans = []
        for player, own in zip(self.other.players, self.tree.players, strict=True):
            behaviour = exact.uniform_behaviour(own)
            by_label = {infoset.label: infoset for infoset in player.infosets}
            for i, name in enumerate(own.names):
                infoset = by_label[one_line(name)]
                first, end = own.first_sequence[i : i + 2]
                shares = [float(profile[action] or 0) for action in infoset.actions]
                if sum(shares) > 0:
                    behaviour[first:end] = shares
            plans.append(rounded(exact.realization_plan(own, behaviour)))
        return tuple(plans)

    def own_plans(self, behaviours) -> tuple[tuple[float, ...], ...]:
        both = zip(self.tree.players, behaviours, strict=True)
        return tuple(rounded(exact.realization_plan(own, b)) for own, b in both)


def rounded(plan: np.ndarray) -> tuple[float, ...]:
    return tuple((np.round(plan, 6) + 0.0).tolist())


def extreme(compared: Compared) -> str:
    """The sets of extreme equilibria. An extreme point among mixed strategies need not be one among
    plans, so ours may leave out those that are mixtures of the others."""
    if compared.tree.num_players != 2:
        return "not compared"
    counts = [strategic.num_strategies(player) for player in compared.tree.players]
    if max(counts) > MOST_STRATEGIES:
        return "too large"
    own = {
        compared.own_plans(one.behaviours)
        for one in solve(compared.tree, all_equilibria=True).equilibria
    }
    found = pygambit.nash.enummixed_solve(compared.other, rational=True).equilibria
    other = {compared.plans(profile.as_behavior()) for profile in found}
    return "equal" if own == other else f"{len(own)} and {len(other)}, {len(own & other)} common"


def profiles(compared: Compared) -> int:
    """Profiles of reduced strategies."""
    return math.prod(strategic.num_strategies(player) for player in compared.tree.players)


def pure(compared: Compared) -> str:
    """The sets of pure equilibria of the reduced strategic form."""
    if profiles(compared) > MOST_PROFILES:
        return "too large"
    plans, table = strategic_form(compared.tree)
    own = {
        tuple(rounded(plans[p][k].astype(float)) for p, k in enumerate(profile))
        for profile in enumeration.pure_equilibria(table)
    }
    found = pygambit.nash.enumpure_solve(compared.other).equilibria
    other = {compared.plans(profile.as_behavior()) for profile in found}
    return "equal" if own == other else f"{len(own)} and {len(other)}, {len(own & other)} common"


def logit(compared: Compared) -> str:
    """The principal branch at a few lambdas, to 1e-6."""
    worst, span = 0.0, compared.tree.span or 1.0
    precisions = [scaled / span for scaled in SCALED]
    points = pygambit.qre.logit_solve_lambda(compared.other, lam=precisions, use_strategic=False)
    places: dict[tuple[int, str], int] = {}  # pygambit 16.7 gives only the numbers, in its order
    count = 0
    for p, player in enumerate(compared.other.players):
        for infoset in player.infosets:
            places[p, infoset.label] = count
            count += len(list(infoset.actions))
    for precision, point in zip(precisions, points, strict=True):
        solved = solve(compared.tree, "qre", precision=precision)
        if any("crosses another one" in note for note in solved.notes):
            return "beyond a bifurcation" if worst <= 1e-6 else f"differ by {worst:.2g}"
        ours = solved.equilibria[0].behaviours
        for p, own in enumerate(compared.tree.players):
            for i, name in enumerate(own.names):
                first, end = own.first_sequence[i : i + 2]
                start = places[p, one_line(name)]
                theirs = [point[start + k] for k in range(end - first)]
                worst = max(worst, float(np.abs(ours[p][first:end] - theirs).max()))
    return "equal" if worst <= 1e-6 else f"differ by {worst:.2g}"


def regret(compared: Compared) -> str:
    """The largest gain by deviating from uniform play on the strategic form, and from our
    equilibrium, by pygambit's arithmetic."""
    if profiles(compared) > MOST_PROFILES:
        return "too large"
    plans, table = strategic_form(compared.tree)
    ours = enumeration.regret(table, [enumeration.normalised([1] * len(own)) for own in plans])
    theirs = compared.other.mixed_strategy_profile(rational=True).max_regret()
    return "equal" if float(ours) == float(theirs) else f"{float(ours)} and {float(theirs)}"


COMPARISONS = {"extreme equilibria": extreme, "pure equilibria": pure, "logit": logit,
               "regret of uniform play": regret}  # fmt: skip


def compare(count: int) -> tuple[Counter, list[str]]:
    """How often each comparison of each kind of game ended how, and the disagreements."""
    ends: Counter = Counter()
    wrong = []
    with tempfile.TemporaryDirectory() as name:
        for kind, path in made(Path(name), count):
            try:
                compared = Compared.of(path, Path(name) / "written.efg")
            except GameError as error:
                reason = str(error).partition(": ")[2] or str(error)
                ends[kind, "refused", " ".join(re.sub(r"'.*?'", "", reason).split())] += 1
                continue
            print(kind, path.name, file=sys.stderr, flush=True)
            for what, comparison in COMPARISONS.items():
                try:
                    end = comparison(compared)
                except PsroError as error:
                    end = f"refused: {error}"[:60]
                if end not in ("equal", "not compared", "too large", "beyond a bifurcation"):
                    wrong.append(f"{path.name}: {what}: {end}")
                    end = "different"
                ends[kind, what, end] += 1
    return ends, wrong


def main() -> None:
    count, started = int(sys.argv[1]) if sys.argv[1:] else 20, time.process_time()
    ends, wrong = compare(count)
    for (kind, what, end), number in sorted(ends.items()):
        print(f"{kind:18} {what:24} {end:20} {number}")
    print(*wrong, sep="\n")
    print(f"{time.process_time() - started:.1f} CPU seconds, pygambit {pygambit.__version__}")


if __name__ == "__main__":
    main()
