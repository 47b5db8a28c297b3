"""PSRO on games that nobody can enumerate: a few iterations each, with default settings.

    python experiments/sampled/large_games.py [--iterations 3] [--games NAME ...] [--cross-play]

For each game: how it is played, the learners' decisions a CPU second (of this process, compiling
included), what the first best responses gained over the untrained policies (the sum of the players'
improvements, a lower bound of that profile's NashConv), seconds by part, and the most memory of the
process so far. `--out FOLDER` keeps the runs.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import tempfile
import time
from pathlib import Path

import games
import psro
from psro.errors import PsroError
from psro.oracles import PPOConfig
from psro.runs.experiment import create

GAMES = (
    "dark_hex(board_size=4)",
    "liars_dice(numdice=5)",
    "goofspiel(imp_info=True,num_cards=13,points_order=descending)",
    "battleship",
    "phantom_go(board_size=5)",
    "oh_hell",
    "gin_rummy",
    "universal_poker(betting=limit,numPlayers=2,numRounds=4,blind=1 2,firstPlayer=2 1 1 1,"
    "numSuits=4,numRanks=13,numHoleCards=2,numBoardCards=0 3 1 1,raiseSize=2 2 4 4,"
    "maxRaises=3 4 4 4)",
    "dark_chess",
    "hearts",
    "negotiation",
    "pettingzoo::connect_four_v3",
    "pgx::tic_tac_toe",
    "python_kuhn_poker",
)


def measure(game: str, options: argparse.Namespace, folder: Path) -> str:
    """One row of the table."""
    settings = {"decisions": options.decisions} if options.decisions else {}
    given = {name: getattr(options, name) for name in ("payoff_episodes", "payoff_error")}
    config = psro.RunConfig(
        **{name: value for name, value in given.items() if value is not None},
        game=game,
        iterations=options.iterations,
        evaluation="sampled",
        max_histories=1_000,  # so that nothing is enumerated
        ppo=PPOConfig(**settings),
    )
    wall, cpu = time.perf_counter(), time.process_time()
    run = create(config, folder)
    for record in run.train():
        print(
            f"  {game}: iteration {record.iteration}, {sum(record.seconds.values()):.1f} s",
            flush=True,
        )
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    records = run.records
    decisions = sum(sum(record.decisions) for record in records)
    first = records[1]
    parts = {}
    for record in records:
        for part, seconds in record.seconds.items():
            parts[part] = parts.get(part, 0.0) + seconds
    backend = type(run.setup.game).__module__.removeprefix("games.")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    gained = f"{first.nash_conv_bound:.3f} ± {first.nash_conv_bound_error:.3f}"
    by_part = ", ".join(
        f"{part} {seconds:.0f}" for part, seconds in parts.items() if seconds >= 0.5
    )
    return (
        f"| {game[:60]} | {backend} | {run.rules.num_players} | {decisions / cpu:,.0f} | {gained} "
        f"| {by_part} | {cpu:.0f} | {wall:.0f} | {memory:.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=3)
    parser.add_argument("--games", nargs="*", default=GAMES)
    parser.add_argument("--decisions", type=int, help="of each best response; by default psro's")
    parser.add_argument("--payoff-episodes", type=int, help="of each profile; by default psro's")
    parser.add_argument("--payoff-error", type=float, help="of the value; by default psro's")
    parser.add_argument("--out", type=Path, help="folder to keep the runs in")
    options = parser.parse_args()
    rows = []
    with contextlib.ExitStack() as stack:
        out = options.out or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for number, game in enumerate(options.games):
            try:
                rows.append(measure(game, options, out / f"{number:02d}"))
            except (PsroError, games.GameError) as error:
                rows.append(f"| {game[:60]} | refused: {error} |")
    print(
        "\n| game | played by | players | decisions per CPU s | gained by the first best responses "
        "| seconds by part | CPU s | wall s | GB |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
