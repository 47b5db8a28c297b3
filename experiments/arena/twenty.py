"""An arena with 20 agents on Leduc poker, one of which crashes, one hangs, one plays illegal
actions, and one eats memory.

    python experiments/arena/twenty.py --out arena.html

prints the ranking, the forfeits, and the wall and processor seconds that it took, those of all
agents included.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

from psro.measure.arena import Arena, Limits, Options, evaluate
from psro.views import arena_page, arena_tables, page, tables

AGENTS = Path(__file__).with_name("agents.py")
NAMES = (
    "calls", "raises", "folds", "random", "kings", "tight", "bluffs", "mixes", "Alternates",
    "first_policy", "random_bot", "crashes", "hangs", "cheats", "eats",
)  # fmt: skip
WORDS = ("uniform", "cfr+", "equilibrium", "mcts")


def meet(episodes: int) -> Arena:
    """The arena of all 20."""
    entrants = dict.fromkeys(WORDS) | {name: f"{AGENTS}:{name}" for name in NAMES}
    entrants = {name: source or name for name, source in entrants.items()}
    entrants["mixes again"] = f"{AGENTS}:mixes"
    options = Options(limits=Limits(action_seconds=1.0))
    return evaluate("leduc_poker", entrants, episodes=episodes, options=options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--episodes", type=int, default=200, help="of each seating")
    parser.add_argument("--out", help="a page to write")
    options = parser.parse_args()
    begun = time.perf_counter()
    arena = meet(options.episodes)
    seconds = time.perf_counter() - begun
    own, agents = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    spent = [used.ru_utime + used.ru_stime for used in (own, agents)]
    arena_tables.print_arena(arena, tables.console())
    if options.out:
        page.write(page.offline(arena_page.document(arena)), options.out)
    print(
        f"{len(arena.names)} agents, {arena.returns.played:,} episodes, {seconds:.1f} wall "
        f"seconds, {spent[0]:.1f} CPU seconds and {spent[1]:.1f} in the agents' processes"
    )


if __name__ == "__main__":
    main()
