"""What the terms know of a player's population and of its opponents."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np

from games.tree import PlayerTree
from psro import exact
from psro.errors import PsroError
from psro.metagame.meta_game import MetaGame

Term = Callable[[np.ndarray], tuple[float, np.ndarray]]
"""A realization plan `[S]` to a value and its gradient `[S]`."""


class DiversityError(PsroError):
    """A term has no value here; one sentence says why."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Context:
    """One player's population and its opponents: K own policies, N profiles of the opponents'.

    Attributes:
        player: the player's tree.
        plans: its policies' realization plans, `[K, S]`.
        weights: its meta-strategy, `[K]`.
        row_gains: what its sequences earn against each of the opponents' profiles, `[N, S]`: a plan
            x has the payoff row `row_gains @ x`.
        reach: probability that chance and the opponents that it trains against lead to each info
            state, `[I]` (`exact.info_state_reach`). Where this is zero, `behavioural` and
            `policy_hull` see no difference.
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
                f"diversity is measured against a population: there are {num_policies} policies "
                f"and {len(self.row_gains)} profiles of opponents"
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
        cls, meta_game: MetaGame, player: int, *, weights: np.ndarray, reach: np.ndarray
    ) -> Context:
        """From a meta-game, with the player's own `weights [K_p]`; the N profiles are all those of
        the opponents, the last opponent's policy first to change."""
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
        """The gradient by the plan, `[S]`, of what has the `gradient [N]` by its `row`."""
        return gradient @ self.row_gains / self.scale
