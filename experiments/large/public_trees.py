"""Games of public moves and private deals without their histories: what exact quantities cost.

    python experiments/large/public_trees.py uniform [--games NAME ...]
    python experiments/large/public_trees.py cfr [--game NAME] [--tolerance 1e-3]
    python experiments/large/public_trees.py double_oracle [--game NAME] [--iterations 30]

`uniform`: NashConv of uniform play, with CPU seconds of opening the game and of NashConv, and the
process's peak memory, each game in a process of its own. `cfr`: CFR+ until NashConv is at most the
tolerance. `double_oracle`: exact best responses against the equilibrium of all before (McMahan et
al. 2003), which begin with the best responses to uniform play. Each prints a line as it goes.
"""

import argparse
import resource
import subprocess
import sys
import time

import numpy as np

from games.public import public_tree
from psro import exact
from psro.exact.cfr import cfr_plus
from psro.metagame.solvers.nash import nash

DICE = "liars_dice(numdice={},dice_sides={})"
SIZES = ((1, 6), (2, 3), (2, 4), (2, 5))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("measure", choices=("uniform", "cfr", "double_oracle"))
    parser.add_argument("--games", nargs="+", default=[DICE.format(*size) for size in SIZES])
    parser.add_argument("--game", default=DICE.format(2, 5))
    parser.add_argument("--tolerance", type=float, default=1e-3)
    parser.add_argument("--iterations", type=int, default=30, help="of the double oracle")
    arguments = parser.parse_args()
    if arguments.measure == "cfr":
        solve(arguments.game, arguments.tolerance)
    elif arguments.measure == "double_oracle":
        double_oracle(arguments.game, arguments.iterations)
    elif len(arguments.games) == 1:
        uniform(arguments.games[0])
    else:
        for name in arguments.games:
            command = [sys.executable, __file__, "uniform", "--games", name]
            subprocess.run(command, check=True)


def uniform(name: str) -> None:
    start = time.process_time()
    form = public_tree(name)
    opened = time.process_time()
    measured = exact.exploitability(form, uniform_plans(form))
    seconds = time.process_time() - opened
    print(
        f"{name}: {form.num_info_states:,} info states, {form.num_histories:,} histories; value "
        f"{measured.value[0]:.6f}, best responses {measured.best_response_value[0]:.6f} and "
        f"{measured.best_response_value[1]:.6f}, NashConv {measured.nash_conv:.6f}; opened in "
        f"{opened - start:.2f} CPU s, NashConv in {seconds:.2f} CPU s, peak {peak():,} MiB",
        flush=True,
    )


def solve(name: str, tolerance: float) -> None:
    form, start, check = public_tree(name), time.process_time(), 1
    for iteration, plans in enumerate(cfr_plus(form), 1):
        if iteration < check:
            continue
        check = iteration + max(1, iteration // 4)
        measured = exact.exploitability(form, plans)
        print(
            f"iteration {iteration}: NashConv {measured.nash_conv:.6f}, value "
            f"{measured.value[0]:.6f}, {time.process_time() - start:.0f} CPU s, peak {peak():,} "
            "MiB",
            flush=True,
        )
        if measured.nash_conv <= tolerance:
            return


def double_oracle(name: str, iterations: int) -> None:
    """Best responses play all equally good actions with equal probability, as those of `psro run`
    do. Their plans are kept in single precision; sums are not."""
    form, start = public_tree(name), time.process_time()
    played = [[], []]  # each player's plans
    payoffs = np.zeros((0, 0))  # to player 0
    plans = uniform_plans(form)
    for iteration in range(iterations + 1):
        value, gains = form.returns_and_gains(plans)
        best = [
            exact.best_response_to(player, of_player, mix_ties=form.rounding)
            for player, of_player in zip(form.players, gains, strict=True)
        ]
        nash_conv = sum(response.value for response in best) - value.sum()
        print(
            f"iteration {iteration}: NashConv {nash_conv:.6f}, value {value[0]:.6f}, "
            f"{time.process_time() - start:.0f} CPU s, peak {peak():,} MiB",
            flush=True,
        )
        for of_player, response in zip(played, best, strict=True):
            of_player.append(response.plan.astype(np.float32))
        row = form.gains(1, [played[0][-1], None])
        column = form.gains(0, [None, played[1][-1]])
        payoffs = np.pad(payoffs, ((0, 1), (0, 1)))
        payoffs[-1] = [-(policy @ row) for policy in played[1]]
        payoffs[:, -1] = [policy @ column for policy in played[0]]
        strategies = nash(np.stack([payoffs, -payoffs]))
        plans = [
            sum(weight * policy for policy, weight in zip(policies, weights, strict=True) if weight)
            for policies, weights in zip(played, strategies, strict=True)
        ]


def uniform_plans(form) -> list[np.ndarray]:
    return [
        exact.realization_plan(player, exact.uniform_behaviour(player)) for player in form.players
    ]


def peak() -> int:
    """The most memory that this process has held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


if __name__ == "__main__":
    main()
