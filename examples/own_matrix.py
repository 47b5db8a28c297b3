"""A matrix game of one's own, from a file: Colonel Blotto with six troops on three fields."""

from __future__ import annotations

import itertools

import numpy as np

import psro

TROOPS, FIELDS = 6, 3


def blotto() -> np.ndarray:
    """The row player's payoffs: who has more troops on a field wins it; whoever wins more fields
    wins 1 from the other."""
    splits = np.array(
        [
            each
            for each in itertools.product(range(TROOPS + 1), repeat=FIELDS)
            if sum(each) == TROOPS
        ]
    )
    fields_won = np.sign(splits[:, None] - splits[None, :]).sum(axis=2)
    return np.sign(fields_won).astype(float)


if __name__ == "__main__":
    np.save("blotto.npy", blotto())
    config = psro.RunConfig(game="blotto.npy", oracle="best_response", iterations=40)
    experiment = psro.run(config, out="experiments/own-matrix")
    print(f"exploitability {experiment.exploitability():.6f}")
