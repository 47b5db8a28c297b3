"""Joint meta-solvers beside OpenSpiel's `jpsro`, on the meta-games of its own test games."""

from __future__ import annotations

import numpy as np
import pyspiel
import pytest

from psro.metagame.solvers import META_SOLVERS

pytestmark = pytest.mark.slow

GAMES = {
    "kuhn_poker_3p": ("kuhn_poker", {"players": 3}),
    "trade_comm_2p_2i": ("trade_comm", {"num_items": 2}),
    "sheriff_2p_gabriele": (
        "sheriff",
        {
            "item_penalty": 1.0,
            "item_value": 5.0,
            "max_bribe": 2,
            "max_items": 10,
            "num_rounds": 2,
            "sheriff_penalty": 1.0,
        },
    ),
}
"""As in OpenSpiel's jpsro_test.py."""


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("target", ["cce", "ce"])
@pytest.mark.filterwarnings("ignore")
def test_values_are_openspiel_s(game, target, monkeypatch):
    """Impurity and welfare of what both find after every iteration; it stops within 1e-7 or so, and
    rounds probabilities below 1e-8 to 0."""
    pytest.importorskip("cvxpy")
    pytest.importorskip("ecos")
    from open_spiel.python.algorithms import jpsro

    meta_games = []
    add = jpsro.add_meta_game
    monkeypatch.setattr(
        jpsro, "add_meta_game", lambda games, *a: add(meta_games, *a) and add(games, *a)
    )
    name, settings = GAMES[game]
    jpsro.run_loop(
        game=pyspiel.load_game_as_turn_based(name, settings),
        game_name=game,
        seed=1,
        iterations=2,
        policy_init="random_deterministic",
        target_equilibrium=target,
        br_selection="all",
        train_meta_solver="uni",
        eval_meta_solver="uni",
    )
    assert max(payoffs[0].size for payoffs in meta_games) >= 4
    for payoffs in meta_games:
        repeats = [np.ones(size) for size in payoffs.shape[1:]]
        for kind in ("mg", "mw"):
            mine = META_SOLVERS[kind + target](payoffs)
            theirs, _ = jpsro.FLAG_TO_FUNC[kind + target](payoffs, repeats, ignore_repeats=True)
            if kind == "mg":
                values = [1 - (joint**2).sum() for joint in (mine, theirs)]
            else:
                values = [(joint * payoffs).sum() for joint in (mine, theirs)]
            assert values[0] == pytest.approx(values[1], abs=2e-5)
