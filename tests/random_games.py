"""Random games of two or three players with chance and simultaneous moves, as OpenSpiel games and
as plain nested nodes; and NashConv by recursion over the nodes, which shares no code with ours."""

from __future__ import annotations

import dataclasses
import itertools
import zlib

import numpy as np
import pyspiel

NAME = "psro_random_game"
MOST_ACTIONS = 3


@dataclasses.dataclass(eq=False)
class Node:
    """A history. With `returns` an end; with `chance`, its outcomes' probabilities; else the
    `movers` choose at once, each knowing its own `seen` alone, and `children` are in the order of
    the product of their actions.
    """

    children: list[Node] = dataclasses.field(default_factory=list)
    returns: np.ndarray | None = None
    chance: np.ndarray | None = None
    movers: tuple[int, ...] = ()
    seen: tuple[str, ...] = ()

    def __deepcopy__(self, memo) -> Node:
        return self

    def moves(self) -> list[tuple[int, ...]]:
        """The movers' actions that lead to each child."""
        return list(itertools.product(*(range(num_actions(self.seen[p])) for p in self.movers)))


def num_actions(seen: str) -> int:
    """A player has as many actions as what it has seen says: so it knows which there are."""
    return 1 + zlib.crc32(seen.encode()) % MOST_ACTIONS


def random_node(rng: np.random.Generator, seen: tuple[str, ...], depth: int) -> Node:
    """A random tree, so deep. Everybody remembers all of its own actions and of what it was shown;
    what others do is shown to it, or not."""
    if depth == 0 or rng.random() < 0.1:
        return Node(returns=rng.normal(size=len(seen)))
    kind = rng.choice(["chance", "one", "all"], p=[0.25, 0.5, 0.25])
    if kind == "chance":
        shown = rng.random(len(seen)) < 0.5
        node = Node(chance=rng.dirichlet(np.ones(2)), seen=seen)
        moves = [(outcome,) for outcome in range(2)]
    else:
        movers = (int(rng.integers(len(seen))),) if kind == "one" else tuple(range(len(seen)))
        shown = rng.random(len(seen)) < 0.3
        node = Node(movers=movers, seen=seen)
        moves = node.moves()
    for move in moves:
        after = [text + (f" sees {move}" if shown[p] else "") for p, text in enumerate(seen)]
        for p, action in zip(node.movers, move, strict=bool(node.movers)):
            after[p] += f" plays {action}"
        node.children.append(random_node(rng, tuple(after), depth - 1))
    return node


def game_of(seed: int) -> Node:
    """One in two for three players, and of at least two decisions."""
    rng = np.random.default_rng(seed)
    start = tuple(f"player {p}" for p in range(2 + seed % 2))
    while True:
        node = random_node(rng, start, depth=3)
        if any(len(below.children) > 1 and below.movers for below in node.children):
            return node


class RandomState(pyspiel.State):
    def __init__(self, game, node: Node):
        super().__init__(game)
        self.node, self.num_players = node, game.num_players()

    def current_player(self):
        if self.node.returns is not None:
            return pyspiel.PlayerId.TERMINAL
        if self.node.chance is not None:
            return pyspiel.PlayerId.CHANCE
        if len(self.node.movers) > 1:
            return pyspiel.PlayerId.SIMULTANEOUS
        return self.node.movers[0]

    def _legal_actions(self, player):
        return list(range(num_actions(self.node.seen[player])))

    def chance_outcomes(self):
        return list(enumerate(self.node.chance))

    def _apply_action(self, action):
        self.node = self.node.children[action]

    def _apply_actions(self, actions):
        self.node = self.node.children[self.node.moves().index(tuple(actions))]

    def _action_to_string(self, player, action):
        return str(action)

    def is_terminal(self):
        return self.node.returns is not None

    def returns(self):
        return list(self.node.returns) if self.is_terminal() else [0.0] * self.num_players

    def __str__(self):
        return " / ".join(self.node.seen)


class Observer:
    """What a player has seen, as a string; as a tensor nothing, as only plans are used here."""

    def __init__(self, params):
        self.tensor, self.dict = np.zeros(1, np.float32), {}

    def set_from(self, state, player):
        pass

    def string_from(self, state, player):
        return state.node.seen[player]


class RandomGame(pyspiel.Game):
    def __init__(self, params=None):
        self.root = game_of(params["seed"])
        super().__init__(
            TYPE,
            pyspiel.GameInfo(
                num_distinct_actions=MOST_ACTIONS,
                max_chance_outcomes=2,
                num_players=2 + params["seed"] % 2,
                min_utility=-10.0,
                max_utility=10.0,
                max_game_length=10,
            ),
            params,
        )

    def new_initial_state(self):
        return RandomState(self, self.root)

    def make_py_observer(self, iig_obs_type=None, params=None):
        return Observer(params)


TYPE = pyspiel.GameType(
    short_name=NAME,
    long_name="A random game",
    dynamics=pyspiel.GameType.Dynamics.SIMULTANEOUS,
    chance_mode=pyspiel.GameType.ChanceMode.EXPLICIT_STOCHASTIC,
    information=pyspiel.GameType.Information.IMPERFECT_INFORMATION,
    utility=pyspiel.GameType.Utility.GENERAL_SUM,
    reward_model=pyspiel.GameType.RewardModel.TERMINAL,
    max_num_players=3,
    min_num_players=2,
    provides_information_state_string=True,
    provides_information_state_tensor=True,
    provides_observation_string=False,
    provides_observation_tensor=False,
    parameter_specification={"seed": 0},
)


def register() -> None:
    """Makes `psro_random_game(seed=N)` known to OpenSpiel."""
    if NAME not in pyspiel.registered_names():
        pyspiel.register_game(TYPE, RandomGame)


Profile = list[dict[str, np.ndarray]]
"""For each player, its action probabilities by what it has seen."""


def others_ways(node: Node, profile: Profile, player: int | None):
    """The children, with the probability that chance and the others go there, and the player's own
    action on the way (None where it does not move)."""
    if node.chance is not None:
        yield from zip(node.children, node.chance, itertools.repeat(None), strict=False)
        return
    for child, move in zip(node.children, node.moves(), strict=True):
        probability, own = 1.0, None
        for p, action in zip(node.movers, move, strict=True):
            if p == player:
                own = action
            else:
                probability *= profile[p][node.seen[p]][action]
        yield child, probability, own


def value(node: Node, profile: Profile) -> np.ndarray:
    """Everybody's expected return."""
    if node.returns is not None:
        return node.returns
    ways = others_ways(node, profile, None)
    return sum(probability * value(child, profile) for child, probability, _ in ways)


def best_response_value(root: Node, profile: Profile, player: int) -> float:
    """What the player gets at most: at every point where it moves it takes the action that is best
    on average over all histories in which it has seen the same, by the others' ways there."""
    histories: dict[str, list[tuple[Node, float]]] = {}
    chosen: dict[str, int] = {}

    def collect(node: Node, reach: float) -> None:
        if player in node.movers:
            histories.setdefault(node.seen[player], []).append((node, reach))
        if node.returns is None:
            for child, probability, _ in others_ways(node, profile, player):
                collect(child, reach * probability)

    def after(node: Node, action: int | None) -> float:
        return sum(
            probability * best(child)
            for child, probability, own in others_ways(node, profile, player)
            if own == action
        )

    def best(node: Node) -> float:
        if node.returns is not None:
            return node.returns[player]
        if player not in node.movers:
            return after(node, None)
        seen = node.seen[player]
        if seen not in chosen:
            worth = [
                sum(reach * after(history, action) for history, reach in histories[seen])
                for action in range(num_actions(seen))
            ]
            chosen[seen] = int(np.argmax(worth))
        return after(node, chosen[seen])

    collect(root, 1.0)
    return best(root)
