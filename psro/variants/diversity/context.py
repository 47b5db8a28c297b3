"""The inputs of diversity terms: a player's population and its opponents."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np

from games.tree import PlayerTree
from psro import exact
from psro.errors import PsroError
from psro.metagame.exact_meta_game import ExactMetaGame

Term = Callable[[np.ndarray], tuple[float, np.ndarray]]
"""A realization plan `[S]` to a value and its gradient `[S]`."""


class DiversityError(PsroError):
    """A diversity term cannot be computed; one sentence says why."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Context:
    """One player's population of K policies, and N profiles of its opponents.

    Attributes:
        player: the player's tree.
        plans: its policies' realization plans, `[K, S]`.
        weights: its meta-strategy, `[K]`.
        row_gains: gains of its sequences against each of the opponents' profiles, `[N, S]`: a plan
            x has the payoff row `row_gains @ x`.
        reach: the part of chance and of the training opponents in the probability of each info
            state, `[I]` (`exact.info_state_reach`). `behavioural` and `policy_hull` ignore info
            states where it is zero.
        scale: the game's largest return; payoffs are divided by it, so that terms have no unit.
    """

    player: PlayerTree
    plans: np.ndarray
    weights: np.ndarray
    row_gains: np.ndarray
    reach: np.ndarray
    scale: float

    def __post_init__(self):
        num_sequences, num_policies = self.player.num_sequences, len(self.plans)
        if num_policies == 0 or len(self.row_gains) == 0:
            raise DiversityError(
                f"diversity needs a population and opponents, not {num_policies} policies and "
                f"{len(self.row_gains)} profiles of opponents"
            )
        for name, expected in (
            ("plans", (num_policies, num_sequences)),
            ("weights", (num_policies,)),
            ("row_gains", (len(self.row_gains), num_sequences)),
            ("reach", (self.player.num_info_states,)),
        ):
            if getattr(self, name).shape != expected:
                raise DiversityError(
                    f"{name} of a diversity context should have the shape {list(expected)}, not "
                    f"{list(getattr(self, name).shape)}"
                )

    @classmethod
    def of(
        cls, meta_game: ExactMetaGame, player: int, *, weights: np.ndarray, reach: np.ndarray
    ) -> Context:
        """From a meta-game, with the player's own `weights [K_p]`. The N profiles are all profiles
        of the opponents; the last opponent's policy changes first."""
        tree, plans = meta_game.tree, meta_game.plans
        counts = [1 if q == player else len(own) for q, own in enumerate(plans)]
        profiles = itertools.product(*map(range, counts))
        return cls(
            player=tree.players[player],
            plans=plans[player],
            weights=weights,
            row_gains=np.stack(
                [
                    exact.gains(tree, player, [own[k] for own, k in zip(plans, ks, strict=True)])
                    for ks in profiles
                ]
            ),
            reach=reach,
            scale=tree.max_return,
        )

    def row(self, plans: np.ndarray) -> np.ndarray:
        """Payoff rows `[..., N]` of plans `[..., S]`, in units of `scale`."""
        return plans @ self.row_gains.T / self.scale

    def row_gradient(self, gradient: np.ndarray) -> np.ndarray:
        """The gradient with respect to the plan, `[S]`, from the one with respect to its `row`,
        `[N]`."""
        return gradient @ self.row_gains / self.scale
