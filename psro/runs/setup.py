"""Builds a run from its config: the game, the policies' network, the oracle, and the loop."""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

import games
from games import GameTree
from games.form import Form
from games.game import Game
from games.readers.opening import open_game
from games.tree_game import TreeGame
from psro import oracles
from psro.errors import SettingsError
from psro.exact.on_devices import devices_of
from psro.exact.passes import passes_of
from psro.metagame.solvers.regret_minimisers import REGRET_MINIMISERS
from psro.metagame.solving import solver_of
from psro.oracles.self_play_settings import SELF_PLAY
from psro.policies.conditional import ConditionalPolicy
from psro.policies.dreamer_policy import DreamerPolicy
from psro.policies.form_table import FormTable
from psro.policies.guests import ActingTable, GuestPolicy
from psro.policies.initial import INITS
from psro.policies.jax_settings import own_settings
from psro.policies.networks.settings import NetworkConfig
from psro.policies.policy import Params, Policy, TablePolicy, Tabulator
from psro.policies.tabulation import ChunkedTabulator
from psro.runs.config import RunConfig, check_cell
from psro.runs.fitting import Rules, check_solvable, with_defaults
from psro.runs.kinds import is_conditional, is_tabular, is_world_model
from psro.runs.origin import Guest
from psro.variants.diversity import TERMS
from psro.variants.expansions import EXPANSIONS
from psro.variants.objective import diverse

if TYPE_CHECKING:
    from games.readers.states import States
    from psro.oracles import Oracle, Results
    from psro.runs.learner_config import LearnerConfig
    from psro.training.evaluators import Elsewhere, Evaluator
    from psro.training.executors import Ask
    from psro.training.loop import Method
    from psro.training.on_form import FormEvaluator, Shelf
    from psro.training.record import Iteration
    from psro.training.trainer import Trainer

# Oracles and trainers are imported only when something is trained. They load Optax and Flashbax,
# and a run that is only measured needs neither.

_PLANNED = 1024
"""Most policies per player that a population has room for at the start. When it is full, the room
doubles."""
_FEW_PROFILES = 1 << 16
"""So many profiles of opponents take little room. A profile is one policy for each opponent."""
_MOST_CONDITION = 1 << 20
"""Most numbers in a conditional network's condition. With more, its first layer would not fit in
memory."""


class Setup:
    """Everything about a run except its seed, its folder and its progress. Runs that differ only in
    these share one `Setup`, and so they share all compiled code.

    Attributes:
        config: the run's config, with every default decided.
        source: the string that its game was loaded from.
        game: the game, as it is played.
        tree: the whole game; None if it is not enumerated.
        form: what gives exact figures, the tree or the players' own info states; None if policies
            are measured by episodes.
        why_sampled: one sentence, if exact figures were wanted and there are none; otherwise None.
        policy: the network or table; populations hold its parameters.
    """

    @own_settings()
    def __init__(self, config: RunConfig, game: str):
        """
        Args:
            config: the run's config.
            game: the string that `games.load` loads.
        """
        _check_imported(config)
        self.source = game
        devices_of()  # fails if JAX finds no device: then the game is not loaded
        opened = open_game(
            game,
            evaluation=config.evaluation,
            backend=config.backend,
            observation=config.observation,
            max_histories=config.max_histories,
        )
        self.game, self.tree, self.form = opened.game, opened.tree, opened.form
        self.why_sampled = opened.why_sampled
        if config.symmetric and self.tree is not None:
            self.tree = self.form = games.symmetric_view(self.tree)
            self.game = TreeGame(self.tree)
        if self.rules.num_players < 2:
            raise SettingsError(
                f"{config.game} is for one player, and a population needs opponents; use "
                f"psro train {config.game}"
            )
        self.config = with_defaults(config, self.rules, exact=self.form is not None)
        check_solvable(self.config, self.rules)
        self.policy = _policy(self.config, self.game, self.form, self.capacity)

    @property
    def rules(self) -> Rules:
        """What is known of the game in either case: its players, returns and sizes."""
        return self.game if self.tree is None else self.tree

    @functools.cached_property
    def states(self) -> States:
        """OpenSpiel's states of a game that is not enumerated, for bots and for people. Raises
        GameError if it is not one of OpenSpiel's, SettingsError if policies are tables."""
        if is_tabular(self.config.oracle):
            raise SettingsError("policies that are tables play only games that are enumerated")
        from games.readers.states import states_of

        return states_of(self.game, self.source, self.config.observation)

    @functools.cached_property
    def tabulate(self) -> Tabulator | ChunkedTabulator:
        """Evaluates policies at all info states of the tree, or of the form."""
        if self.tree is not None:
            return Tabulator(self.policy, self.tree)
        if is_tabular(self.config.oracle):
            return self.policy.tabulate
        return ChunkedTabulator(self.policy)

    @functools.cached_property
    @own_settings()
    def evaluator(self) -> Evaluator:
        """What measures policies."""
        from psro.training.evaluators import ExactEvaluator

        config = self.config
        if self.tree is not None:
            return ExactEvaluator(
                tree=self.tree, tabulate=self.tabulate, symmetric=config.symmetric
            )
        softmax = getattr(config.oracle_settings, "softmax", False)
        if self.form is not None:
            from psro.training.on_form import FormEvaluator, FormSteps

            steps = FormSteps(form=self.form, tabulate=self.tabulate, passes=passes_of(self.form))
            return FormEvaluator(steps=steps, softmax=softmax)
        from psro.training.matches import Matches
        from psro.training.sampled import SampledEvaluator

        matches = Matches(self.game, self.policy)
        return SampledEvaluator(
            matches=matches,
            first_matches=max(1, round(config.payoff_episodes / matches.episodes)),
            error=config.payoff_error,
            total=self.game.utility_sum,
            softmax=softmax,
        )

    @property
    def num_populations(self) -> int:
        return 1 if self.config.symmetric else self.rules.num_players

    @property
    def capacity(self) -> int:
        """Room for all policies of the run, but at most for `_PLANNED`. It is a power of two, so
        that the shape stays the same with a few more iterations. A short run has the room of a run
        of default length if that is small, so that both use the same compiled code."""
        config = self.config

        def room(iterations: int) -> int:
            most = EXPANSIONS[config.expansion].capacity(iterations, config.levels)
            most += config.begun - 1
            return 1 << (min(most, _PLANNED) - 1).bit_length()

        usual = room(max(config.iterations, RunConfig.iterations))
        compiled = not is_tabular(config.oracle) and not is_conditional(config.oracle)
        if compiled and usual ** (self.rules.num_players - 1) <= _FEW_PROFILES:
            return usual
        return room(config.iterations)

    @functools.cached_property
    @own_settings()
    def oracle(self) -> Oracle:
        """The oracle, which trains best responses."""
        name = self.config.oracle
        settings = self.config.oracle_settings
        if hasattr(settings, "shared_by") and "rounds" in EXPANSIONS[self.config.expansion].uses:
            settings = settings.shared_by(self.config.rounds)
        oracle = oracles.ORACLES[name]
        if self.tree is None and oracle.enumerated and self.form is not None:
            oracle = oracle.on_form
        policy = self.policy
        if self.config.network.critic == "self_play":
            policy = policy.with_own_values()
        return oracle(self.game, policy, settings)

    @functools.cached_property
    @own_settings()
    def self_play(self) -> Oracle:
        """What trains all players together."""
        from psro.oracles.self_play.known import LEARNERS

        name = self.config.self_play
        settings = getattr(self.config, name)
        return LEARNERS[name](self.game, self.policy, settings, learners=self.num_populations)

    def check_oracles(self) -> None:
        """Raises SettingsError if what trains policies refuses the game or the settings."""
        _ = self.oracle
        if "self_play" in EXPANSIONS[self.config.expansion].uses:
            _ = self.self_play

    @functools.cached_property
    def method(self) -> Method:
        """The steps of an iteration."""
        from psro.training.loop import Method

        config = self.config
        return Method(
            trainer=self._trainer(),
            training=solver_of(config.meta_solver),
            evaluation=solver_of(config.measuring_solver) if config.measuring_solver else None,
            expansion=EXPANSIONS[config.expansion],
            levels=config.levels,
            rounds=config.rounds,
            minimise=REGRET_MINIMISERS[config.regret_minimiser],
            restricted_solver=config.restricted_solver,
            horizon=config.horizon or 1,
            span=self.rules.span or 1.0,
            begun=config.begun,
        )

    @own_settings()
    def loop(
        self,
        seed: int,
        iterations: int,
        last: Iteration | None,
        shelf: Shelf | None = None,
        start: Sequence[Params] | None = None,
        workers: Elsewhere | None = None,
    ) -> Generator[Ask | Iteration, Results | None, None]:
        """The loop of a run, which begins with the iteration after `last`. `shelf` keeps the
        vectors of a game that is too large to enumerate, by default in memory. `start` are the
        policies of iteration 0, leaves `[P, ...]`, by default untrained ones. `workers` measure
        its policies; by default this process does."""
        from psro.training.loop import psro

        evaluator = self.evaluator
        if workers is not None:
            evaluator = evaluator.elsewhere(workers)
        if self.tree is None and self.form is not None and shelf is not None:
            evaluator = dataclasses.replace(evaluator, shelf=shelf)
            if last is not None:  # its vectors are read from the same shelf, and kept there
                kept = evaluator.meta_game(last.population, last.meta_game.payoffs)
                last = dataclasses.replace(last, meta_game=kept)
        return psro(
            self.method.measured_by(evaluator),
            key=jax.random.key(seed),
            iterations=iterations,
            capacity=self.capacity,
            last=last,
            start=start,
        )

    def evaluator_with(self, shelf: Shelf) -> FormEvaluator:
        """The evaluator of a form, whose vectors are kept on a shelf."""
        return dataclasses.replace(self.evaluator, shelf=shelf)

    def _trainer(self) -> Trainer:
        from psro.policies.imitation import imitate_by_network, imitate_by_table
        from psro.training.trainer import Trainer

        config, tree, policy = self.config, self.tree, self.policy
        seats, tabular = np.arange(self.rules.num_players), is_tabular(config.oracle)

        @jax.jit
        def fresh(key: jax.Array) -> Params:
            return policy.init_many(jax.vmap(jax.random.fold_in, (None, 0))(key, seats))

        return Trainer(
            fresh=fresh,
            initial=INITS[config.init],
            imitate=imitate_by_table(policy, self.form)
            if tabular
            else imitate_by_network(policy, tree)
            if tree is not None
            else None,
            evaluator=self.evaluator,
            concept=solver_of(config.meta_solver).concept,
            objective=None
            if config.diversity is None
            else functools.partial(
                diverse, TERMS[config.diversity], config.diversity_weight * self.rules.max_return
            ),
            symmetric=config.symmetric,
            networks=SELF_PLAY[config.self_play].networks,
        )


def _check_imported(config: RunConfig) -> None:
    """Raises SettingsError if a module of the run is not imported. It is not imported here: a run
    may come from a stranger."""
    for name in config.imports:
        if name not in sys.modules:
            raise SettingsError(
                f"the run needs the module {name}, which is not imported; add --import {name}"
            )


def check_layers(oracle: str, config: RunConfig | LearnerConfig) -> None:
    """Raises SettingsError if there are settings for layers that the oracle's network lacks."""
    if is_world_model(oracle) and config.network != NetworkConfig():
        raise SettingsError(
            f"{oracle} has a world model with layers of its own; leave out the settings --network.*"
        )


def network_of(
    oracle: str, config: RunConfig | LearnerConfig, game: Game, *, hidden_size: int | None = None
) -> Policy:
    """The network that a sampled oracle trains in a game, by default of the run's size."""
    settings = network_settings(config, game)
    if hidden_size is not None:
        settings["hidden_size"] = hidden_size
    if not is_world_model(oracle):
        return Policy(**settings)
    model = config.dreamer
    return DreamerPolicy(
        **settings | {"cell": model.cell}, latents=model.latents, classes=model.classes
    )


def network_settings(config: RunConfig, game: Game) -> dict[str, Any]:
    """The arguments of `Policy` for a game."""
    return {
        "observation_space": game.observation_space,
        "action_space": game.action_space,
        "hidden_size": config.hidden_size,
        "cell": config.cell,
        "dtype": config.dtype,
        "network": config.network,
    }


def _policy(
    config: RunConfig, game: Game, form: Form | None, capacity: int
) -> Policy | TablePolicy | FormTable:
    if is_tabular(config.oracle):
        return TablePolicy(form) if isinstance(form, GameTree) else FormTable(form)
    settings = network_settings(config, game)
    if is_conditional(config.oracle):
        seats = game.num_players
        size = seats + capacity ** (seats - 1)
        if size > _MOST_CONDITION:
            raise SettingsError(
                f"levels = {config.levels} in a game for {seats} players would need a condition of "
                f"more than {_MOST_CONDITION:,} numbers; choose fewer levels or iterations"
            )
        return ConditionalPolicy(condition_size=size, **settings)
    check_layers(config.oracle, config)
    own = network_of(config.oracle, config, game)
    guests = config.origin.guests if config.origin else ()
    return GuestPolicy(own, [_guest(kind, game, form) for kind in guests]) if guests else own


def _guest(kind: Guest, game: Game, form: Form | None) -> Policy | ActingTable:
    """What plays as the policies of another kind than the run's own."""
    if kind.kind == "table":
        if not isinstance(form, GameTree):
            raise SettingsError(
                "policies that are tables play beside networks only in a game that is enumerated "
                f"and measured exactly, and {game.name} is not; use --oracle best_response"
            )
        return ActingTable(form)
    check_cell(kind.cell)
    settings = {
        "observation_space": game.observation_space,
        "action_space": game.action_space,
        "hidden_size": kind.hidden_size,
        "cell": kind.cell,
        "dtype": kind.dtype,
        "network": kind.network,
    }
    if kind.kind == "world_model":
        return DreamerPolicy(**settings, latents=kind.latents, classes=kind.classes)
    return Policy(**settings)
