"""A run's meta-strategy as OpenSpiel's policies and bots, and whether its payoffs are theirs."""

from __future__ import annotations

import numpy as np

from games import TreePolicy
from games.readers.states import ReplayedPolicy
from psro import exact
from psro.errors import SettingsError
from psro.policies.bot import EpisodeBot, MixtureBot, PopulationBot
from psro.policies.mixed_behaviour import MixedBehaviour
from psro.runs.agreement import disagreement
from psro.runs.description import DescribedRun


class ActingRun(DescribedRun):
    """What an `Experiment` plays."""

    def policy(self, player: int | None = None) -> TreePolicy | ReplayedPolicy:
        """The mixture of one player (by default, of all players) as an `open_spiel` policy. If the
        meta-strategy is correlated, each player's own marginal is used.

        Action probabilities are those of the mixed realization plan: at an info state, a policy
        counts by its weight times its probability of playing to that state. Where the game is not
        enumerated, the networks see the player's decisions on the way to each state again.
        """
        players = range(self.rules.num_players) if player is None else [player]
        for p in players:
            self._check_seat(p)
        if self.tree is None:
            return ReplayedPolicy(
                self.setup.states,
                {
                    p: MixedBehaviour(
                        self.policy_network, self.populations[p], self.meta_strategy[p]
                    )
                    for p in players
                },
            )
        mixture = self._finished().meta_game.mixture(self.meta_strategy)
        return TreePolicy(
            self.tree, {p: exact.behaviour(self.tree.players[p], mixture[p]) for p in players}
        )

    def bot(self, player: int, seed: int | np.random.SeedSequence) -> MixtureBot:
        """One player's meta-strategy as an OpenSpiel bot, which draws one policy per game. If the
        meta-strategy is correlated, the bot uses its own marginal, as bots share no draw."""
        self._check_seat(player)
        shared = {
            "player": player,
            "policy": self.policy_network,
            "params": self.populations[player],
            "weights": self.meta_strategy[player],
            "seed": seed,
        }
        if self.tree is None:
            return EpisodeBot(states=self.setup.states, **shared)
        return PopulationBot(tree=self.tree, plans=self.plans[player], **shared)

    def _check_seat(self, player: int) -> None:
        if not 0 <= player < self.rules.num_players:
            raise SettingsError(f"player {player} of a game for {self.rules.num_players}")

    def disagreement(self) -> str | None:
        """A sentence if the recorded payoffs do not match the policies (`psro.runs.agreement`).
        None if they match, if no iteration is finished, or if games are sampled."""
        if self._last is None or self.tree is None:
            return None
        return disagreement(self._last.meta_game, symmetric=self.config.symmetric)
