"""What are deals in pairs worth? The variance of matches with them and without.

    python experiments/sampled/variance.py [--iterations 8] [--matches 128]

For each game, a short run is trained by episodes. Profiles of its policies then play matches whose
deals are independent, and matches whose deals come in pairs of one kind (`Matches.stratified`). The
script prints how many times fewer episodes pairs need for the same standard error, and the ratio of
CPU seconds. Policies of number 0 play uniformly.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import jax
import numpy as np

import psro
import psro.oracles
from games.readers.opening import open_game
from psro.training.matches import Matches

GAMES = (
    ("kuhn_poker", "tree"),
    ("kuhn_poker", "native"),
    ("leduc_poker", "tree"),
    ("leduc_poker", "native"),
    ("liars_dice(numdice=1)", "tree"),
    ("liars_dice(numdice=1)", "native"),
    ("liars_dice(numdice=2)", "native"),
)
_DECISIONS = 32_768
"""Of each best response."""


def variances(
    run: psro.Experiment, backend: str, profiles: np.ndarray, matches: int, *, stratified: bool
) -> tuple[np.ndarray, float]:
    """Each profile's variance of an episode as far as it counts for the mean, `[N]`, of player 0;
    and CPU seconds."""
    game = open_game(run.config.game, evaluation="sampled", backend=backend).game
    play = Matches(game, run.policy_network)
    play.stratified = stratified
    params = jax.tree.map(lambda *leaves: np.stack(leaves), *run.populations)
    rows = np.repeat(profiles, matches, axis=0)
    keys = jax.random.split(jax.random.key(1), len(rows))
    play(params, rows[: play.at_once], keys[: play.at_once])  # compiles
    begun = time.process_time()
    returns = play(params, rows, keys).returns
    seconds = time.process_time() - begun
    returns = returns.reshape(len(profiles), matches, play.episodes, -1)
    squares = np.stack([play.squares(own)[0] for own in returns])
    return squares / (matches * play.episodes - 1), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=8)
    parser.add_argument("--matches", type=int, default=128)
    options = parser.parse_args()
    last = options.iterations
    profiles = np.array([(last, last), (last // 2, last - 2), (0, 0)])
    print(
        "| game | played by | " + " | ".join(f"{i} against {j}" for i, j in profiles) + " | CPU |"
    )
    print("|---|---|" + "---|" * (len(profiles) + 1))
    with tempfile.TemporaryDirectory() as folder:
        for number, (game, backend) in enumerate(GAMES):
            config = psro.RunConfig(
                game=game,
                backend=backend,
                evaluation="sampled",
                iterations=last,
                ppo=psro.oracles.PPOConfig(decisions=_DECISIONS),
            )
            run = psro.run(config, Path(folder) / str(number))
            (plain, before), (pairs, after) = (
                variances(run, backend, profiles, options.matches, stratified=on)
                for on in (False, True)
            )
            gains = " | ".join(f"{ratio:.1f}" for ratio in plain / np.maximum(pairs, 1e-9))
            print(f"| {game} | {backend} | {gains} | {after / before:.2f} |", flush=True)


if __name__ == "__main__":
    main()
