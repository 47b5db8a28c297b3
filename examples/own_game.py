"""A game of one's own, written as an OpenSpiel game in Python: a bluff with one card.

Both players put 1 into the pot. Player 0 gets a high or a low card, each with probability 1/2, and
bets 1 more or folds. If it bets, player 1 pays 1 to see the card, or folds. A high card wins the
pot, a low one loses it. Player 0 should always bet a high card and a low one with probability 1/3;
player 1 should call with probability 2/3; the game is worth 1/3 to player 0.
"""

from __future__ import annotations

import numpy as np
import pyspiel

import psro

LOW, HIGH = 0, 1
FOLD, BET_OR_CALL = 0, 1

GAME_TYPE = pyspiel.GameType(
    short_name="one_card_bluff",
    long_name="One-card bluff",
    dynamics=pyspiel.GameType.Dynamics.SEQUENTIAL,
    chance_mode=pyspiel.GameType.ChanceMode.EXPLICIT_STOCHASTIC,
    information=pyspiel.GameType.Information.IMPERFECT_INFORMATION,
    utility=pyspiel.GameType.Utility.ZERO_SUM,
    reward_model=pyspiel.GameType.RewardModel.TERMINAL,
    max_num_players=2,
    min_num_players=2,
    provides_information_state_string=True,
    provides_information_state_tensor=True,
    provides_observation_string=True,
    provides_observation_tensor=True,
)
GAME_INFO = pyspiel.GameInfo(
    num_distinct_actions=2,
    max_chance_outcomes=2,
    num_players=2,
    min_utility=-2.0,
    max_utility=2.0,
    utility_sum=0.0,
    max_game_length=2,
)


class OneCardBluff(pyspiel.Game):
    def __init__(self, params=None):
        super().__init__(GAME_TYPE, GAME_INFO, params or {})

    def new_initial_state(self):
        return OneCardBluffState(self)

    def make_py_observer(self, iig_obs_type=None, params=None):
        return OneCardBluffObserver()


class OneCardBluffState(pyspiel.State):
    def __init__(self, game):
        super().__init__(game)
        self.card: int | None = None
        self.actions: list[int] = []

    def current_player(self):
        if self.card is None:
            return pyspiel.PlayerId.CHANCE
        if len(self.actions) == 2 or FOLD in self.actions:
            return pyspiel.PlayerId.TERMINAL
        return len(self.actions)

    def chance_outcomes(self):
        return [(LOW, 0.5), (HIGH, 0.5)]

    def _legal_actions(self, player):
        return [FOLD, BET_OR_CALL]

    def _apply_action(self, action):
        if self.card is None:
            self.card = action
        else:
            self.actions.append(action)

    def _action_to_string(self, player, action):
        if player == pyspiel.PlayerId.CHANCE:
            return ("low", "high")[action]
        return ("fold", ("bet", "call")[player])[action]

    def is_terminal(self):
        return self.current_player() == pyspiel.PlayerId.TERMINAL

    def returns(self):
        if not self.is_terminal():
            return [0.0, 0.0]
        if self.actions == [FOLD]:
            won = -1.0
        elif self.actions == [BET_OR_CALL, FOLD]:
            won = 1.0
        else:
            won = 2.0 if self.card == HIGH else -2.0
        return [won, -won]

    def __str__(self):
        return f"{self.card}{self.actions}"


class OneCardBluffObserver:
    """What a player knows: its card, if it has one. It is all there is to know at a decision, so
    the same holds for the information state and the observation."""

    def __init__(self):
        self.tensor = np.zeros(3, np.float32)  # I am player 1; my card is low; it is high
        self.dict = {"private": self.tensor}

    def set_from(self, state, player):
        self.tensor.fill(0)
        if player == 1:
            self.tensor[0] = 1
        elif state.card is not None:
            self.tensor[1 + state.card] = 1

    def string_from(self, state, player):
        """Tells a player's info states apart; nothing that it does not know may stand here."""
        return f"player 0 has {state.card}" if player == 0 else "player 1 sees a bet"


pyspiel.register_game(GAME_TYPE, OneCardBluff)

if __name__ == "__main__":
    config = psro.RunConfig(game="one_card_bluff", oracle="best_response")
    experiment = psro.run(config, out="experiments/own-game")
    print(f"exploitability {experiment.exploitability():.6f}")
    print(f"worth {experiment.measure().value[0]:.6f} to player 0")
