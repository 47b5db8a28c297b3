"""NashConv by recursion over a game's histories agrees with ours on random games."""

from __future__ import annotations

import numpy as np
import random_games
from random_games import best_response_value, value

import games
from games.readers import trial
from psro import exact

GAMES = 300


def seen(name: str) -> str:
    """What a player has seen, of an info state's name, which OpenSpiel begins with who moves."""
    return name.partition("\n")[2]


def profile_of(tree: games.GameTree, rng: np.random.Generator) -> random_games.Profile:
    """Random probabilities, some of them 0, wherever somebody moves."""
    profile = []
    for player in tree.players:
        drawn = {}
        for i, name in enumerate(player.names):
            weights = rng.exponential(size=player.first_sequence[i + 1] - player.first_sequence[i])
            weights[rng.random(len(weights)) < 0.2] = 0
            weights[rng.integers(len(weights))] += 0.1
            drawn[seen(name)] = weights / weights.sum()
        profile.append(drawn)
    return profile


def plans_of(tree: games.GameTree, profile: random_games.Profile) -> list[np.ndarray]:
    behaviours = [
        np.concatenate([[1.0], *(drawn[seen(name)] for name in player.names)])
        for player, drawn in zip(tree.players, profile, strict=True)
    ]
    return [
        exact.realization_plan(player, behaviour)
        for player, behaviour in zip(tree.players, behaviours, strict=True)
    ]


def test_nash_conv_of_random_games(monkeypatch):
    random_games.register()
    # No process of its own for each game: these are no stranger's, and that takes most of the time.
    monkeypatch.setattr(trial, "check", lambda name, **options: None)
    kinds = {"chance": 0, "at once": 0, "three players": 0}
    for seed in range(GAMES):
        root = random_games.game_of(seed)
        tree = games.load(f"{random_games.NAME}(seed={seed})")
        assert tree.identity == "string"
        profile = profile_of(tree, np.random.default_rng(seed))
        measured = exact.exploitability(tree, plans_of(tree, profile))
        players = range(tree.num_players)
        values = value(root, profile)
        best = np.array([best_response_value(root, profile, p) for p in players])
        np.testing.assert_allclose(measured.value, values, rtol=0, atol=1e-10)
        np.testing.assert_allclose(measured.best_response_value, best, rtol=0, atol=1e-10)
        assert abs(measured.nash_conv - (best - values).sum()) <= 1e-10
        nodes, kinds["three players"] = [root], kinds["three players"] + (tree.num_players == 3)
        while nodes:
            node = nodes.pop()
            kinds["chance"] += node.chance is not None
            kinds["at once"] += len(node.movers) > 1
            nodes += node.children
    assert min(kinds.values()) >= GAMES / 2
