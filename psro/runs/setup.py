"""What a config makes of its game: the policies' network, what trains it, and the loop."""

from __future__ import annotations

import functools
from collections.abc import Generator
from typing import TYPE_CHECKING

import jax
import numpy as np

import games
from games import GameTree
from games.tree_game import TreeGame
from psro import oracles
from psro.errors import SettingsError
from psro.exact.on_devices import devices_of
from psro.metagame.meta_game import MetaGame
from psro.metagame.solvers.regret_minimisers import REGRET_MINIMISERS
from psro.metagame.solving import solver_of
from psro.policies.initial import INITS
from psro.policies.jax_settings import own_settings
from psro.policies.policy import ConditionalPolicy, Params, Policy, TablePolicy, Tabulator
from psro.runs.config import (
    RunConfig,
    check_solvable,
    is_conditional,
    is_tabular,
    with_defaults,
)
from psro.variants.diversity import TERMS
from psro.variants.expansions import EXPANSIONS
from psro.variants.objective import diverse

if TYPE_CHECKING:
    from psro.oracles import Oracle, Results
    from psro.training.executors import Ask
    from psro.training.loop import Method
    from psro.training.record import Iteration
    from psro.training.trainer import Trainer

# Oracles and what trains with them are imported when something is trained: they load Optax and
# Flashbax, and a run that is only measured needs neither.

_PLANNED = 1024
"""Policies a player that populations have room for from the start, at most; it doubles when they
are full."""
_FEW_PROFILES = 1 << 16
"""Profiles of opponents, one for each combination of their policies, that take little room."""
_MOST_CONDITION = 1 << 20
"""Numbers of a conditional network's condition, beyond which its first layer fills any memory."""


class Setup:
    """Everything about a run but its seed, its folder and how far it is: runs that differ in those
    alone share one, and with it all that is compiled.

    Attributes:
        config: with the defaults decided by the game.
        tree: the game.
        policy: the `Policy` whose parameters the populations are.
        tabulate: evaluates them.
    """

    @own_settings()
    def __init__(self, config: RunConfig, game: str):
        """
        Args:
            config: of the run.
            game: what `games.load` loads.
        """
        devices_of()  # or nothing can be computed, and a game need not be loaded
        self.tree = games.load(
            game, observation=config.observation, max_histories=config.max_histories
        )
        if config.symmetric:
            self.tree = games.symmetric_view(self.tree)
        self.config = with_defaults(config, self.tree)
        check_solvable(self.config, self.tree)
        self.policy = _policy(self.config, self.tree, self.capacity)
        self.tabulate = Tabulator(self.policy, self.tree)

    @property
    def num_populations(self) -> int:
        return 1 if self.config.symmetric else self.tree.num_players

    @property
    def capacity(self) -> int:
        """Room for all policies that a run of so many iterations comes to, or for `_PLANNED`; a
        power of two, so that a few iterations more are no other shape. Short runs have the room of
        one of default length, where that is small, so that they are compiled once."""
        config = self.config

        def room(iterations: int) -> int:
            most = EXPANSIONS[config.expansion].capacity(iterations, config.levels)
            return 1 << (min(most, _PLANNED) - 1).bit_length()

        usual = room(max(config.iterations, RunConfig.iterations))
        compiled = not is_tabular(config.oracle) and not is_conditional(config.oracle)
        if compiled and usual ** (self.tree.num_players - 1) <= _FEW_PROFILES:
            return usual
        return room(config.iterations)

    @functools.cached_property
    @own_settings()
    def oracle(self) -> Oracle:
        """What trains best responses."""
        name = self.config.oracle
        settings = getattr(self.config, name, None)
        if settings and "rounds" in EXPANSIONS[self.config.expansion].uses:
            settings = settings.shared_by(self.config.rounds)
        return oracles.ORACLES[name](TreeGame(self.tree), self.policy, settings)

    @functools.cached_property
    def method(self) -> Method:
        """What the loop does in every iteration."""
        from psro.training.loop import Method

        config = self.config
        return Method(
            trainer=self._trainer(),
            training=solver_of(config.meta_solver),
            evaluation=solver_of(config.evaluation) if config.evaluation else None,
            expansion=EXPANSIONS[config.expansion],
            levels=config.levels,
            rounds=config.rounds,
            minimise=REGRET_MINIMISERS[config.regret_minimiser],
            restricted_solver=config.restricted_solver,
        )

    @own_settings()
    def loop(
        self, seed: int, iterations: int, last: Iteration | None
    ) -> Generator[Ask | Iteration, Results | None, None]:
        """The loop of a run, from the iteration after `last` on."""
        from psro.training.loop import psro

        return psro(
            self.method,
            key=jax.random.key(seed),
            iterations=iterations,
            meta_game=MetaGame.empty(self.tree),
            capacity=self.capacity,
            last=last,
        )

    def _trainer(self) -> Trainer:
        from psro.policies.imitation import imitate_by_network, imitate_by_table
        from psro.training.trainer import Trainer

        config, tree, policy = self.config, self.tree, self.policy
        seats, tabular = np.arange(tree.num_players), is_tabular(config.oracle)

        @jax.jit
        def fresh(key: jax.Array) -> Params:
            return policy.init_many(jax.vmap(jax.random.fold_in, (None, 0))(key, seats))

        return Trainer(
            fresh=fresh,
            initial=INITS[config.init],
            imitate=(imitate_by_table if tabular else imitate_by_network)(policy, tree),
            tabulate=self.tabulate,
            concept=solver_of(config.meta_solver).concept,
            objective=None
            if config.diversity is None
            else functools.partial(
                diverse, TERMS[config.diversity], config.diversity_weight * tree.max_return
            ),
            symmetric=config.symmetric,
        )


def _policy(config: RunConfig, tree: GameTree, capacity: int) -> Policy | TablePolicy:
    if is_tabular(config.oracle):
        return TablePolicy(tree)
    settings = {
        "observation_size": tree.observation_size,
        "num_actions": tree.num_actions,
        "hidden_size": config.hidden_size,
        "cell": config.cell,
        "dtype": config.dtype,
    }
    if is_conditional(config.oracle):
        seats = tree.num_players
        size = seats + capacity ** (seats - 1)
        if size > _MOST_CONDITION:
            raise SettingsError(
                f"levels = {config.levels} in a game for {seats} make a condition of more than "
                f"{_MOST_CONDITION:,} numbers"
            )
        return ConditionalPolicy(condition_size=size, **settings)
    return Policy(**settings)
