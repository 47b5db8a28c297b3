"""One step of a mixture towards the one that is hardest to exploit, by what opponents are known to
do.

What the best response to a mixture earns is a convex function of its weights, the largest of linear
ones. The policies of the opponent are some of them: the mixture of a meta-game's equilibrium is the
best against these alone. It jumps from one end of the population to another whenever a best
response is added (the instability of Kelley's cutting planes). A level bundle method holds on to
the last mixture instead: it moves to the nearest one that is good enough against all that is known
(Lemarechal, Nemirovskii and Nesterov 1995, "New variants of bundle methods", Mathematical
Programming 69, section 2; its proximal form in Kiwiel 1995, "Proximal level bundle methods").
"""

from __future__ import annotations

import numpy as np

from psro.metagame.least_exploitable import best_against

AMBITION = 0.7
"""The share of what the known opponents leave to gain that a step takes."""


def level_step(center: np.ndarray, payoffs: np.ndarray, ambition: float = AMBITION) -> np.ndarray:
    """The mixture `[K]` that solves

        min |x - center|^2   over mixtures x with  min_n payoffs[:, n] @ x >= level,
        level = held + ambition (most - held).

    Here `held` is what `center` earns against the opponent that is worst for it, and `most` is the
    largest payoff that a mixture can be sure of against all of them, by a linear program.

    Args:
        center: the last mixture, `[K]`.
        payoffs: what each policy earns against each of the opponent's, `[K, N]`, in any unit.
        ambition: from 0 (the mixture stays) to 1 (the nearest equilibrium strategy).
    """
    import scipy.optimize  # here, not above: it takes a tenth of a second

    scale = np.ptp(payoffs) or 1.0
    cuts = (payoffs / scale).T  # [N, K]
    surest, _ = best_against(-cuts)
    # What a mixture is sure of is concave: so the point on the way to the surest is good enough.
    start = center + ambition * (surest - center)
    held, most = (cuts @ center).min(), (cuts @ surest).min()
    level = min((cuts @ start).min(), held + ambition * (most - held))
    result = scipy.optimize.minimize(
        lambda x: (np.square(x - center).sum(), 2 * (x - center)),
        start,
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * len(center),
        constraints=[
            {"type": "eq", "fun": lambda x: x.sum() - 1, "jac": np.ones_like},
            {"type": "ineq", "fun": lambda x: cuts @ x - level, "jac": lambda x: cuts},
        ],
        options={"maxiter": 200},
    )
    nearest = np.maximum(result.x, 0.0)
    nearest = nearest / max(nearest.sum(), 1e-12)
    solved = np.isfinite(nearest).all() and (cuts @ nearest).min() >= level - 1e-6
    return nearest if solved else start
