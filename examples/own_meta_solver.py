"""A meta-solver of one's own: recent policies count more, by a power of their age."""

from __future__ import annotations

import numpy as np

import psro
from psro.metagame.solvers import META_SOLVERS, Solver
from psro.metagame.solvers.payoffs import checked
from psro.metagame.solvers.settings import PositiveShare


def recency(payoffs: np.ndarray, *, decay: PositiveShare = 0.5) -> list[np.ndarray]:
    """Each player's policies, weighted by `decay` to the power of their age.

    Args:
        payoffs: `[P, K_0, ..., K_{P-1}]`; only its shape matters here.
        decay: what a policy counts less for every iteration that it is older.
    """
    payoffs = checked(payoffs, "recency")  # one sentence for what is no payoff table
    weights = [decay ** np.arange(size)[::-1] for size in payoffs.shape[1:]]
    return [each / each.sum() for each in weights]


META_SOLVERS["recency"] = Solver(function=recency)

if __name__ == "__main__":
    config = psro.RunConfig(
        oracle="best_response",
        meta_solver="recency(decay=0.8)",  # what best responses are trained against
        evaluation_solver="nash",  # what is measured and saved as the result
        iterations=20,
    )
    experiment = psro.run(config, out="experiments/own-meta-solver")
    print(f"exploitability {experiment.exploitability():.6f}")
