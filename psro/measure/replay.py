"""Games between the populations of a run, one by one, in the game's own words.

In each game every player plays one policy, drawn from the meta-strategy. If the meta-strategy is
correlated, the policies are drawn together.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from games import GameTree, InfoStateIndex, PlayerTree
from games.printing import player_name
from games.readers.states import States
from psro.errors import PsroError
from psro.policies.jax_settings import own_settings
from psro.runs.experiment import Experiment


class Unprintable(PsroError):
    """A game whose states OpenSpiel cannot print; one sentence says so."""


class Dealer:
    """Draws policies, resolves chance, and plays for the populations.

    Attributes:
        game: OpenSpiel's game; None for another library's environment.
        short_name: OpenSpiel's of the game; empty for an environment.
        bots: one per player.
        rng: of chance, and of policies that are drawn together.
    """

    def __init__(self, experiment: Experiment, seed: int | None):
        """With the same `seed`, deals, draws of policies and actions are the same. With None they
        differ each time.

        Raises:
            Unprintable: OpenSpiel cannot print what a player sees.
            GameError: the game cannot be loaded.
        """
        self._experiment = experiment
        self._tree = experiment.tree
        if self._tree is None:
            self._tree = experiment.setup.states.tree
        enumerated = self._tree is not None
        self.game, self.short_name, self._describes = None, "", True
        self.num_players = experiment.rules.num_players
        if enumerated or isinstance(experiment.setup.states, States):
            self._describe(experiment)
        labelled = enumerated and all(
            player.action_names is not None for player in self._tree.players
        )
        self._index = InfoStateIndex(self._tree, range(self.num_players)) if labelled else None
        chance, *bots = np.random.SeedSequence(seed).spawn(1 + self.num_players)
        self.rng = np.random.default_rng(chance)
        self.bots = [experiment.bot(p, bot_seed) for p, bot_seed in enumerate(bots)]

    def _describe(self, experiment: Experiment) -> None:
        """Learns how OpenSpiel prints the game. Raises Unprintable if it does not."""
        known = self._tree is not None
        self.game = self._tree.openspiel() if known else experiment.setup.states.game
        kind = self.game.get_type()
        self.short_name = kind.short_name
        if not (kind.provides_observation_string or kind.provides_information_state_string):
            raise Unprintable(
                f"OpenSpiel cannot print what a player of {experiment.config.game} sees"
            )
        self._describes = kind.provides_observation_string

    @property
    def tree(self) -> GameTree | None:
        """The game's tree; None where it is not played from one."""
        return self._tree

    @property
    def player_names(self) -> tuple[str, ...] | None:
        """Names of all players in the game's file, if it names them."""
        return None if self._tree is None else self._tree.player_names

    @property
    def labelled(self) -> bool:
        """Whether info states and actions have names in the game's file."""
        return self._index is not None

    def player_name(self, seat: int, *, begins: bool = False) -> str:
        """A player's name for readers, as in `GameTree.player_name`."""
        return player_name(self.player_names, seat, begins=begins)

    def begin(self) -> Any:
        """The root of a new game, for which policies are drawn."""
        joint = self._experiment.joint
        if joint is None:
            for bot in self.bots:
                bot.restart()
        else:
            drawn = self.rng.choice(joint.size, p=joint.ravel())
            for bot, policy in zip(self.bots, np.unravel_index(drawn, joint.shape), strict=True):
                bot.restart_as(int(policy))
        if self._experiment.tree is not None:
            return self.game.new_initial_state()
        states = self._experiment.setup.states
        return states.new_state(int(self.rng.integers(1 << 31)) if states.hides_chance else 0)

    def action(self, state: Any) -> int:
        """What chance or the bot of the player to move does at a state."""
        if state.is_chance_node():
            outcomes, probabilities = zip(*state.chance_outcomes(), strict=True)
            return int(self.rng.choice(outcomes, p=probabilities))
        return self.bots[state.current_player()].step(state)

    def name(self, state: Any, action: int) -> str:
        """The name of an action or of a chance outcome."""
        if self._index is None or state.is_chance_node():
            return state.action_to_string(state.current_player(), action)
        return dict(self.names(state))[action]

    def names(self, state: Any) -> list[tuple[int, str]]:
        """The legal actions, by number and name."""
        if self._index is None or state.is_chance_node():
            mover = state.current_player()
            return [(a, state.action_to_string(mover, a)) for a in state.legal_actions()]
        own, number = self._info_state(state)
        first, last = own.first_sequence[number : number + 2]
        return [(int(own.action[s]), own.action_names[s]) for s in range(first, last)]

    def text(self, state: Any, seat: int) -> str:
        """What a player knows, in words: the info state's name in the game's file while the player
        moves, otherwise OpenSpiel's string for the seat."""
        if self._index is not None and state.current_player() == seat:
            own, number = self._info_state(state)
            return own.names[number]
        seen = state.observation_string if self._describes else state.information_state_string
        return seen(seat)

    def _info_state(self, state: Any) -> tuple[PlayerTree, int]:
        """The tree of the player to move, and the number of its info state."""
        mover = state.current_player()
        return self._tree.players[mover], self._index.info_state(state, mover)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Move:
    """A move in an episode.

    Attributes:
        player: who moved; None for chance.
        name: the action's or outcome's name.
        seen: what the player saw before; empty for chance.
    """

    player: int | None
    name: str
    seen: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Episode:
    """A game from its first move to its end.

    Attributes:
        policies: every player's policy, by its number in the population.
        moves: all moves, in order.
        returns: of every player.
        end: the last state, as OpenSpiel prints it.
        is_cut: whether the limit of length ended it.
    """

    policies: tuple[int, ...]
    moves: tuple[Move, ...]
    returns: tuple[float, ...]
    end: str
    is_cut: bool


@own_settings()
def episodes(experiment: Experiment, count: int, seed: int) -> tuple[Dealer, list[Episode]]:
    """Plays `count` episodes between the meta-strategies of a run; the same for the same seed. The
    dealer knows the players' names.

    Raises as `Dealer` does.
    """
    dealer = Dealer(experiment, seed)
    return dealer, [_episode(dealer, experiment.setup.game.max_length) for _ in range(count)]


def _episode(dealer: Dealer, max_length: int) -> Episode:
    state, moves, decisions = dealer.begin(), [], 0
    while not state.is_terminal() and decisions < max_length:
        is_chance = state.is_chance_node()
        mover = None if is_chance else state.current_player()
        seen = "" if is_chance else dealer.text(state, mover)
        action = dealer.action(state)
        moves.append(Move(player=mover, name=dealer.name(state, action), seen=seen))
        state.apply_action(action)
        decisions += not is_chance
    return Episode(
        policies=tuple(bot.drawn for bot in dealer.bots),
        moves=tuple(moves),
        returns=tuple(state.returns()),
        end=str(state),
        is_cut=not state.is_terminal() or getattr(state, "is_cut", False),
    )
