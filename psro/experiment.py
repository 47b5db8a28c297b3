"""Runs and their folders: configuration, wiring, saving, resuming, loading.

A folder holds

    config.json               the `RunConfig`, the format version, the versions of the packages
    policies/0000.safetensors every player's N policies that iteration 0 made, leaves
                              `[P, N, ...]`, or of all seats that share them, `[1, N, ...]`, with
                              their numbers in the populations, and the marginals of the
                              meta-strategy that was measured after it; and so on
    payoffs.safetensors       payoffs, meta-strategy and records: the commit
    metrics.csv               the records again, for people; written from the commit
    exploitability.png        the curve, written when a run ends
    game.csv                  a copy of the game, where it came from a file, with that one's ending;
                              its SHA-256 is in config.json
    .lock                     empty; held by the process that trains (`psro.storage.lock`)
    tensorboard/, wandb/      what `--log` writes (`psro.loggers`); nothing here reads them

`payoffs.safetensors` is replaced in one rename after the iteration's policies are on disk, so the
folder is always that of a finished iteration, whenever the process or the machine stops. A policy
file that it does not name is left over from an iteration that was not finished, and is replaced.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import datetime
import difflib
import functools
import importlib.metadata
import json
import os
import re
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

import games
from games import GameTree, TreePolicy, files, trial
from games.tree_game import TreeGame
from psro import archive, exact, storage
from psro.bot import PopulationBot
from psro.diversity_terms import TERMS
from psro.expansions import EXPANSIONS
from psro.imitation import imitate_by_network, imitate_by_table
from psro.initial import INITS
from psro.loop import Iteration, Record, Solve, psro, why_ended
from psro.meta_game import MetaGame
from psro.meta_solvers import MetaSolverError, Solver, meta_solver
from psro.meta_solvers.regret_minimisers import REGRET_MINIMISERS
from psro.meta_strategy import MEANINGS, Gaps, MetaStrategy, gaps
from psro.networks import CELLS, DTYPES
from psro.objective import diverse
from psro.oracles import (
    CONFIGS,
    ORACLES,
    STARTS,
    A2CConfig,
    ConditionalConfig,
    DistillConfig,
    DQNConfig,
    FullWidthConfig,
    Jobs,
    Oracle,
    PPOConfig,
    ReinforceConfig,
    Results,
)
from psro.oracles.base import check_types
from psro.policy import ConditionalPolicy, Params, Policy, TablePolicy, Tabulator
from psro.population import Population
from psro.restricted_game import METHODS
from psro.storage import FORMAT_VERSION, ExperimentError
from psro.trainer import Trainer, TrainingDiverged
from psro.tree_solvers import TREE_SOLVERS

CONFIG, COMMIT = "config.json", "payoffs.safetensors"
SAME = "same"
"""The evaluation solver that measures what best responses train against."""
_MOST_PROGRAMMED = 500_000
"""Histories of a game up to which `least_exploitable` costs less than training does."""
_PLANNED = 1024
"""Policies a player that populations have room for from the start, at most; it doubles when they
are full. What is planned is set aside at once."""
_MOST = {
    "iterations": 1_000_000,
    "levels": 1_000,
    "rounds": 1_000_000,
    "hidden_size": 16_384,
    "max_histories": 1_000_000_000,
}
"""Settings beyond which a run is neither begun nor, where it is saved so, read: it is refused
before anything of that size is made. Every other whole number may be at most 2**53, so that JSON
keeps it."""
_MOST_CONDITION = 1 << 20
"""Numbers of a conditional network's condition, beyond which its first layer fills any memory."""
MAX_GAME = 10_000
"""Characters of a game's name in a saved run; a Tiny Hanabi payoff table takes some hundreds."""
_PACKAGES = (
    "psro", "jax", "jaxlib", "flax", "optax", "flashbax", "open_spiel", "nashpy", "numpy", "scipy",
)  # fmt: skip


def solver_of(text: str) -> Solver:
    """What --meta-solver and --evaluation-solver name; `meta_solver`, or one of `TREE_SOLVERS`.

    Raises:
        MetaSolverError: there is none such.
    """
    if text in TREE_SOLVERS:
        return TREE_SOLVERS[text]
    try:
        return meta_solver(text)
    except MetaSolverError as error:
        if text.isidentifier():
            raise MetaSolverError(f"{error}, {', '.join(TREE_SOLVERS)}") from None
        raise


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that a run's result depends on."""

    game: str = "kuhn_poker"
    """OpenSpiel game string, parameters included: "leduc_poker(players=3)"; or a file: Gambit's
    .efg and .nfg, or payoffs as .csv (zero-sum), .npy and .npz."""
    iterations: int = 12
    """PSRO iterations; each adds one policy a player to the untrained ones."""
    seed: int = 0
    """Seed of every random number."""
    oracle: str = "ppo"
    """Best-response method: ppo, a2c, reinforce, dqn, full_width, distill, conditional (one network
    for all policies: NeuPL), or best_response (exact, as a table: double oracle)."""
    cell: str = "lstm"
    """Memory cell of the policies: lstm or gru."""
    hidden_size: int = 32
    """Units of the encoder and of the cell."""
    dtype: str = "float32"
    """What networks are computed in: float32, or bfloat16, which only accelerators are faster at.
    Parameters and carries are float32, and everything exact float64, in any case."""
    meta_solver: str = "nash"
    """What the opponents are drawn from: nash (two players), uniform, last, last_k,
    fictitious_play, regret_matching, replicator, projected_replicator, regularized_replicator, qre,
    alpha_rank, alpha_rank_single (two players, symmetric), or correlated equilibria of the largest
    Gini impurity, welfare or entropy: mgcce, mwcce, mecce (coarse), mgce, mwce, mece; or what looks
    at the game itself (two players, zero-sum): least_exploitable, the mixtures that lose least to
    players who are free. Settings stand in brackets: "projected_replicator(gamma=0.05)"."""
    evaluation_solver: str | None = None
    """What is measured and saved as the result: another meta-solver, or same. By default
    least_exploitable for the meta-solver nash with the expansion best_response in a two-player
    zero-sum game of at most 500,000 histories, and else the same."""
    symmetric: bool = False
    """All seats share one population and one strategy over it, as if seats were drawn at random,
    and each iteration trains one best response instead of one a player; for games in which every
    seat is like every other."""
    observation: str | None = None
    """The policies' input: information_state or observation; by default the first that the game
    provides, in this order."""
    max_histories: int = games.MAX_HISTORIES
    """Refuse to enumerate a game with more histories."""
    expansion: str = "best_response"
    """What an iteration adds: best_response (PSRO), rectified (PSRO_rN), pipeline (P2SRO),
    hierarchy (DCH), candidates (Global PSRO), anytime (APSRO), stochastic (SP-PSRO), or extensive
    (XDO, and with networks NXDO)."""
    levels: int = 4
    """Best responses a player that are trained side by side, by the expansions rectified (of which
    it keeps one for each policy of the support), pipeline, hierarchy and candidates."""
    rounds: int = 10
    """Parts into which the expansions anytime and stochastic cut training; opponents move between
    them."""
    regret_minimiser: str = "regret_matching_plus"
    """How they move: regret_matching_plus, or hedge (multiplicative weights)."""
    restricted_solver: str = "auto"
    """How the expansion extensive (XDO) solves the restricted game: auto (linear_program or, where
    that would be large, cfr_plus), linear_program, cfr_plus, or mmd (learned in self-play by
    magnetic mirror descent)."""
    diversity: str | None = None
    """What best responses are rewarded for besides their returns, for being different from their
    population: expected_cardinality (DPP-PSRO), behavioural, response, both as bd_rd (BD&RD), or
    policy_hull (PSD-PSRO); for oracles that know the tree. By default nothing."""
    diversity_weight: float = 0.1
    """How much that counts: a term of 1 is worth this share of the game's largest return."""
    init: str | None = None
    """What a best response starts from: scratch, previous (the last best response), fusion (the
    average of the player's parameters under its meta-strategy) or perturbed (that average shrunk,
    and a fresh network added to it). By default perturbed for the oracles ppo, a2c and reinforce,
    and else scratch."""
    tolerance: float = 1e-6
    """The run has converged when its exploitability is not above this, in units of the game's
    payoff; 0: it uses all iterations."""
    patience: int = 5
    """The run ends when for this many iterations no best response has beaten the meta-strategy by
    more than the tolerance."""
    ppo: PPOConfig = dataclasses.field(default_factory=PPOConfig)
    """Settings of the oracle ppo."""
    a2c: A2CConfig = dataclasses.field(default_factory=A2CConfig)
    """Settings of the oracle a2c."""
    reinforce: ReinforceConfig = dataclasses.field(default_factory=ReinforceConfig)
    """Settings of the oracle reinforce."""
    dqn: DQNConfig = dataclasses.field(default_factory=DQNConfig)
    """Settings of the oracle dqn."""
    full_width: FullWidthConfig = dataclasses.field(default_factory=FullWidthConfig)
    """Settings of the oracle full_width."""
    distill: DistillConfig = dataclasses.field(default_factory=DistillConfig)
    """Settings of the oracle distill."""
    conditional: ConditionalConfig = dataclasses.field(default_factory=ConditionalConfig)
    """Settings of the oracle conditional."""

    def __post_init__(self):
        if not isinstance(self.game, str):
            raise TypeError(f"game = {self.game!r} must be a string")
        check_types(self)
        for what, name, known in (
            ("oracle", self.oracle, ORACLES),
            ("cell", self.cell, CELLS),
            ("dtype", self.dtype, DTYPES),
            ("expansion", self.expansion, EXPANSIONS),
            ("regret minimiser", self.regret_minimiser, REGRET_MINIMISERS),
            ("restricted solver", self.restricted_solver, METHODS),
            ("diversity", next(iter(TERMS)) if self.diversity is None else self.diversity, TERMS),
            ("init", next(iter(INITS)) if self.init is None else self.init, INITS),
        ):
            if name not in known:
                near = difflib.get_close_matches(str(name), known, n=1)
                hint = f"did you mean {near[0]}? " if near else ""
                raise ValueError(f"unknown {what} {name!r}; {hint}known: {', '.join(known)}")
        for name in ("meta_solver", "evaluation_solver"):
            solver = getattr(self, name)
            if not isinstance(solver, str) and (solver, name) != (None, "evaluation_solver"):
                raise TypeError(f"{name} = {solver!r} must be a string")
            if solver not in (None, SAME):
                solver_of(solver)
        for name, least in (
            ("iterations", 1),
            ("levels", 1),
            ("rounds", 1),
            ("hidden_size", 1),
            ("max_histories", 1),
            ("patience", 1),
            ("tolerance", 0),
            ("diversity_weight", 0),
        ):
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} = {getattr(self, name)} must be at least {least}")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed = {self.seed} must be between 0 and 2**32 - 1")
        if ORACLES[self.oracle].tabular and self.init not in (None, "scratch"):
            raise ValueError(f"init {self.init} trains networks further; {self.oracle} trains none")

    @property
    def evaluation(self) -> str | None:
        """The meta-solver of what is measured, where it is another one's than is trained against;
        of a run's own config, in which no default is open any more."""
        return None if self.evaluation_solver in (None, SAME) else self.evaluation_solver

    @property
    def solvers(self) -> str:
        """Both, for people."""
        measured = f", measured by {self.evaluation}" if self.evaluation else ""
        return f"meta-solver {self.meta_solver}{measured}"

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> RunConfig:
        """From what `dataclasses.asdict` made, or some of it; raises ValueError or TypeError where
        it is not."""
        settings = {name: CONFIGS[name](**fields[name]) for name in CONFIGS if name in fields}
        return cls(**{**fields, **settings})


class Experiment:
    """A run and its folder. `psro.run`, `psro.resume` and `psro.load` make one.

    Attributes:
        folder: where it is saved.
        config: its `RunConfig`.
        tree: the game.
        policy_network: the `Policy` whose parameters the populations are.
        records: one `Record` per finished iteration.
    """

    def __init__(self, folder: Path, config: RunConfig):
        self.folder = folder
        copy = _game_file(folder, config)
        self.tree = games.load(
            str(copy) if copy and copy.exists() else config.game,
            observation=config.observation,
            max_histories=config.max_histories,
        )
        if config.symmetric:
            self.tree = games.symmetric_view(self.tree)
        _check_solvable(config, self.tree)
        self.config = _with_defaults(config, self.tree)
        self.policy_network = self._network()
        self.records: list[Record] = []
        self._tabulate = Tabulator(self.policy_network, self.tree)
        self._last: Iteration | None = None
        self._digests: list[str] = []

    def _network(self) -> Policy | TablePolicy:
        config, oracle = self.config, ORACLES[self.config.oracle]
        if oracle.tabular:
            return TablePolicy(self.tree)
        settings = {
            "observation_size": self.tree.observation_size,
            "num_actions": self.tree.num_actions,
            "hidden_size": config.hidden_size,
            "cell": config.cell,
            "dtype": config.dtype,
        }
        if oracle.conditional:
            seats = self.tree.num_players
            size = seats + self._capacity ** (seats - 1)
            if size > _MOST_CONDITION:
                raise ValueError(
                    f"levels = {config.levels} in a game for {seats} make a condition of more than "
                    f"{_MOST_CONDITION:,} numbers"
                )
            return ConditionalPolicy(condition_size=size, **settings)
        return Policy(**settings)

    @property
    def _num_populations(self) -> int:
        return 1 if self.config.symmetric else self.tree.num_players

    @property
    def ended(self) -> str | None:
        """Why the run has nothing left to do: `converged` (exploitability within the tolerance),
        `no oracle improves` (for `patience` iterations) or `budget` (all iterations are done)."""
        return _ended(self.records, self.config)

    @property
    def concept(self) -> str:
        """The equilibrium that the meta-strategy is measured as: nash, cce or ce."""
        return _solve(self.config.evaluation or self.config.meta_solver).concept

    @property
    def populations(self) -> list[Params]:
        """Each player's policies, leaves `[K, ...]`, in the order in which they were trained."""
        population = self._finished().population
        return [
            jax.tree.map(lambda leaf, p=p: leaf[p, : population.size], population.params)
            for p in range(self.tree.num_players)
        ]

    @property
    def payoffs(self) -> np.ndarray:
        """Expected returns of every profile of policies, float64 `[P, K_0, ..., K_{P-1}]`; averaged
        over seatings in a symmetric run."""
        return self._finished().meta_game.payoffs

    @property
    def meta_strategy(self) -> list[np.ndarray]:
        """Each player's distribution over its policies, float64 `[K_p]`: the evaluation solver's,
        where there is one, and the marginals of `joint`, where that is correlated."""
        return list(self._finished().evaluation.marginals)

    @property
    def joint(self) -> np.ndarray | None:
        """The distribution over profiles of policies, float64 `[K_0, ..., K_{P-1}]`, where the
        meta-strategy is correlated; None where players draw independently."""
        return self._finished().evaluation.joint

    @property
    def plans(self) -> tuple[np.ndarray, ...]:
        """Each player's realization plans, float64 `[K_p, S_p]`."""
        return self._finished().meta_game.plans

    def measure(self) -> Gaps:
        """Value, best-response values, NashConv and other gaps of the meta-strategy, computed
        now."""
        last = self._finished()
        return gaps(last.meta_game, last.evaluation, last.record.concept)

    def exploitability(self) -> float:
        """Exact NashConv / P of the meta-strategy, computed now."""
        return self.measure().exploitability

    def policy(self, player: int | None = None) -> TreePolicy:
        """The mixture of one player (of all players by default) as an `open_spiel` policy, by its
        own marginal where the meta-strategy is correlated.

        Its action probabilities are those of the mixed realization plan: each policy counts at an
        info state by its weight and by how likely it goes there.
        """
        players = range(self.tree.num_players) if player is None else [player]
        if not all(0 <= p < self.tree.num_players for p in players):
            raise ValueError(f"player {player} of a game for {self.tree.num_players}")
        mixture = self._finished().meta_game.mixture(self.meta_strategy)
        return TreePolicy(
            self.tree, {p: exact.behaviour(self.tree.players[p], mixture[p]) for p in players}
        )

    def bot(self, player: int, seed: int | np.random.SeedSequence) -> PopulationBot:
        """One player's meta-strategy as an OpenSpiel bot, which draws one policy a game; by its own
        marginal where the meta-strategy is correlated: nobody tells bots a common draw."""
        if not 0 <= player < self.tree.num_players:
            raise ValueError(f"player {player} of a game for {self.tree.num_players}")
        return PopulationBot(
            tree=self.tree,
            player=player,
            policy=self.policy_network,
            params=self.populations[player],
            weights=self.meta_strategy[player],
            plans=self.plans[player],
            seed=seed,
        )

    def again(self, folder: Path, config: RunConfig) -> Experiment:
        """A run that is not begun and whose config differs in its seed only; it shares this one's
        game and all that is compiled for it."""
        other = copy.copy(self)
        other._trainer = self._trainer
        other.folder, other.config = folder, dataclasses.replace(self.config, seed=config.seed)
        other.records, other._last, other._digests = [], None, []
        return other

    def train_by(self, oracle: Callable[[jax.Array, Jobs], Results]) -> None:
        """Has best responses trained by calls of `oracle`, which comes to what the experiment's own
        comes to."""
        self._trainer = dataclasses.replace(self._trainer, oracle=oracle)

    def train(self) -> Iterator[Record]:
        """Trains until it has `ended`; each record is yielded once its iteration is on disk.

        Raises:
            ExperimentError: another process trains in the folder, or has since this one read it.
        """
        if self.ended:
            return
        with self._locked():
            yield from self._train()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """The folder is held, and still what was read or written last."""
        with storage.lock(self.folder):
            commit = self.folder / COMMIT
            digests = storage.read_tensors(commit)[1].get("policies") if commit.exists() else []
            if digests != self._digests:
                raise ExperimentError(
                    f"{self.folder} has changed since it was read: another psro has trained in it"
                )
            yield

    def _train(self) -> Iterator[Record]:
        config = self.config
        iterations = psro(
            key=jax.random.key(config.seed),
            iterations=config.iterations,
            trainer=self._trainer,
            training=_solve(config.meta_solver),
            evaluation=_solve(config.evaluation) if config.evaluation else None,
            expansion=EXPANSIONS[config.expansion],
            levels=config.levels,
            rounds=config.rounds,
            minimise=REGRET_MINIMISERS[config.regret_minimiser],
            restricted_solver=config.restricted_solver,
            meta_game=MetaGame.empty(self.tree),
            capacity=self._capacity,
            last=self._last,
        )
        for iteration in iterations:
            self._commit(iteration)
            yield iteration.record
            if self.ended:
                return

    @functools.cached_property
    def oracle(self) -> Oracle:
        """What trains best responses."""
        name = self.config.oracle
        settings = getattr(self.config, name, None)
        if settings and "rounds" in EXPANSIONS[self.config.expansion].uses:
            settings = settings.shared_by(self.config.rounds)
        return ORACLES[name](TreeGame(self.tree), self.policy_network, settings)

    @functools.cached_property
    def _trainer(self) -> Trainer:
        config, tree, policy, oracle = self.config, self.tree, self.policy_network, self.oracle
        seats, tabular = np.arange(tree.num_players), ORACLES[config.oracle].tabular

        @jax.jit
        def fresh(key: jax.Array) -> Params:
            return policy.init_many(jax.vmap(jax.random.fold_in, (None, 0))(key, seats))

        def further(finished: Params) -> Params:
            return (
                finished if tabular else policy.with_temperature(finished, 1 / oracle.temperature)
            )

        def initial(params: Params, population: Population, meta_strategy) -> Params:
            return INITS[config.init](params, population, meta_strategy, further)

        return Trainer(
            fresh=fresh,
            initial=initial,
            further=further,
            imitate=(imitate_by_table if tabular else imitate_by_network)(policy, tree),
            oracle=oracle,
            tabulate=self._tabulate,
            concept=_solve(config.meta_solver).concept,
            objective=None
            if config.diversity is None
            else functools.partial(
                diverse, TERMS[config.diversity], config.diversity_weight * tree.max_return
            ),
            symmetric=config.symmetric,
        )

    @property
    def _capacity(self) -> int:
        """Room for all policies that a run of so many iterations comes to, or for `_PLANNED`; a
        power of two, so that a few iterations more are no other shape."""
        most = EXPANSIONS[self.config.expansion].capacity(
            self.config.iterations, self.config.levels
        )
        return 1 << (min(most, _PLANNED) - 1).bit_length()

    def _finished(self) -> Iteration:
        if self._last is None:
            raise ExperimentError(f"{self.folder} has no finished iteration yet")
        return self._last

    def _commit(self, iteration: Iteration) -> None:
        """Puts an iteration on disk; see the module's docstring for the order."""
        folder, policies = self.folder / "policies", iteration.policies
        with storage.writing(self.folder):
            folder.mkdir(exist_ok=True)
            digest = storage.write_tensors(
                folder / policy_file(iteration.record.iteration),
                storage.flatten(
                    jax.tree.map(
                        lambda *leaves: np.stack(leaves, axis=1)[: self._num_populations],
                        *policies.values(),
                    )
                ),
                {
                    "slots": list(policies),
                    "meta_strategy": [each.tolist() for each in iteration.evaluation.marginals],
                },
            )
            records = [*self.records, iteration.record]
            tensors = {"payoffs": iteration.meta_game.payoffs}
            tensors |= _strategy_tensors("meta_strategy", iteration.meta_strategy)
            if self.config.evaluation:
                tensors |= _strategy_tensors("evaluation", iteration.evaluation)
            storage.write_tensors(
                self.folder / COMMIT,
                tensors,
                {
                    "records": [dataclasses.asdict(record) for record in records],
                    "policies": [*self._digests, digest],
                },
            )
            self.records, self._last = records, iteration
            self._digests = [*self._digests, digest]
            self._write_metrics()

    def _write_metrics(self) -> None:
        storage.write(self.folder / "metrics.csv", metrics_table(self.records).to_csv(index=False))

    def _restore(self) -> None:
        """Reads the folder's commit and the policies that it names."""
        commit = _read_commit(self.folder, self.config)
        if commit is None:
            return
        path, num_players = self.folder / COMMIT, self.tree.num_players
        self.records, self._digests = commit.records, commit.digests
        if len(commit.payoffs) != num_players:
            raise ExperimentError(
                f"{path} is damaged: payoffs for {len(commit.payoffs)} players, not {num_players}"
            )
        expected = jax.eval_shape(
            lambda: self.policy_network.init_many(
                jax.random.split(jax.random.key(0), self._num_populations)
            )
        )
        seats = np.arange(num_players) % self._num_populations  # whose each seat's is
        policies: dict[int, Params] = {}  # as they are in the end
        for number, digest in enumerate(self._digests):
            file = self.folder / "policies" / policy_file(number)
            stacks, slots = _read_policies(file, digest, number)
            shapes = jax.tree.map(lambda leaf: (leaf.shape[0], *leaf.shape[2:]), stacks)
            if shapes != jax.tree.map(lambda leaf: leaf.shape, expected):
                raise ExperimentError(
                    f"{file} does not hold the network that config.json describes"
                )
            latest = {
                slot: jax.tree.map(lambda leaf, n=n: leaf[seats, n], stacks)
                for n, slot in enumerate(slots)
            }
            policies |= latest
            size = self.records[number].size
            if len(policies) != size or max(slots) >= size:
                raise ExperimentError(f"{file} is damaged: its slots do not make {size} policies")
        # The same calls as in training, so that every rounding is the same.
        population = Population.empty(policies[0], self._capacity)
        for slot in range(size):
            population = population.put(slot, policies[slot])
        meta_game = MetaGame.empty(self.tree).put(
            range(size), [self._tabulate(policies[slot]) for slot in range(size)], commit.payoffs
        )
        self._last = Iteration(
            record=self.records[-1],
            policies=latest,
            population=population,
            meta_game=meta_game,
            meta_strategy=commit.meta_strategy,
            evaluation=commit.evaluation,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Commit:
    """What `payoffs.safetensors` holds."""

    records: list[Record]
    digests: list[str]
    payoffs: np.ndarray
    meta_strategy: MetaStrategy
    evaluation: MetaStrategy


def _read_commit(folder: Path, config: RunConfig) -> _Commit | None:
    """None where no iteration is finished."""
    path = folder / COMMIT
    if not path.exists():
        return None
    tensors, info = storage.read_tensors(path)
    try:
        payoffs = tensors["payoffs"]
        num_players = len(payoffs)
        records = [
            _record(each, number, num_players) for number, each in enumerate(info["records"])
        ]
        digests = list(info["policies"])
        meta_strategy = _read_strategy(tensors, "meta_strategy", num_players)
        evaluation = meta_strategy
        if config.evaluation:
            evaluation = _read_strategy(tensors, "evaluation", num_players)
        _check_commit(records, digests, payoffs, meta_strategy, evaluation)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        sentence = storage.sentence(error)
        raise ExperimentError(f"{path} is damaged: {sentence} is missing or wrong") from None
    return _Commit(
        records=records,
        digests=digests,
        payoffs=payoffs,
        meta_strategy=meta_strategy,
        evaluation=evaluation,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What the files of a run say, read without loading its game or its networks.

    Attributes:
        folder: where it is saved.
        config: its `RunConfig`.
        game: what `games.load` loads its game from: the folder's copy, where it came from a file.
        records: one `Record` per finished iteration; none yet in a run that has just begun.
        payoffs: of the K policies a player, float64 `[P, K, ..., K]`; None without records.
        meta_strategies: after each iteration the measured meta-strategy's marginals, one `[K_p]` a
            player; None for an iteration of a folder that an older version wrote, which kept the
            last one only.
    """

    folder: Path
    config: RunConfig
    game: str
    records: list[Record]
    payoffs: np.ndarray | None
    meta_strategies: list[list[np.ndarray] | None]

    @property
    def ended(self) -> str | None:
        """As `Experiment.ended`."""
        return _ended(self.records, self.config)


def snapshot(folder: str | os.PathLike, *, foreign: bool = False) -> Snapshot:
    """The run in a folder as of its last finished iteration, also while another process goes on
    with it; cheap, whatever its game.

    Args:
        folder: of the run.
        foreign: it was unpacked from an exported file.

    Raises:
        ExperimentError: it is no experiment, is damaged, or was written by a newer version.
    """
    folder = Path(folder)
    config = _read_run(folder, foreign=foreign)
    copy = _game_file(folder, config)
    commit = _read_commit(folder, config)
    strategies: list[list[np.ndarray] | None] = []
    if commit is not None:
        for record, digest in zip(commit.records, commit.digests, strict=True):
            path = folder / "policies" / policy_file(record.iteration)
            info = storage.read_info(path)
            _check_named(path, info, digest)
            strategies.append(_kept_strategy(path, info, len(commit.payoffs), record.size))
        strategies[-1] = list(commit.evaluation.marginals)
    return Snapshot(
        folder=folder,
        config=config,
        game=str(copy) if copy and copy.exists() else config.game,
        records=commit.records if commit else [],
        payoffs=commit.payoffs if commit else None,
        meta_strategies=strategies,
    )


def _kept_strategy(
    path: Path, info: Mapping[str, Any], num_players: int, size: int
) -> list[np.ndarray] | None:
    """The meta-strategy's marginals that stand beside an iteration's policies, where any do."""
    if "meta_strategy" not in info:
        return None
    try:
        marginals = [np.array(each) for each in info["meta_strategy"]]
        if len(marginals) != num_players or not all(
            each.ndim == 1 and _are_weights(each, size) for each in marginals
        ):
            raise ValueError("no distributions over its policies")
    except (TypeError, ValueError) as error:
        raise ExperimentError(
            f"{path} is damaged: meta_strategy: {storage.sentence(error)}"
        ) from None
    return marginals


def create(
    config: RunConfig, out: str | os.PathLike | None = None, like: Experiment | None = None
) -> Experiment:
    """A new experiment and its folder; nothing is left behind when the game cannot be loaded.

    Args:
        config: the run.
        out: the folder, which must not exist; `experiments/<game>-<timestamp>` by default.
        like: one of the same config but for its seed, for `Experiment.again`.
    """
    folder = Path(out) if out is not None else default_folder(config.game)
    with storage.writing(folder):
        taken = folder.exists() or folder.is_symlink()
    if taken:
        raise ExperimentError(
            f"{folder} exists already; choose another --out, or `psro resume {folder}`"
        )
    try:
        _check_sizes(config)  # what is saved must be accepted when it is read
    except ValueError as error:
        raise ExperimentError(f"no run of {config.game[:80]!r}: {error}") from None
    experiment = like.again(folder, config) if like else Experiment(folder, config)
    _ = experiment.oracle  # which may refuse the game
    with storage.making(folder) as aside:
        (aside / "policies").mkdir()
        storage.write(aside / storage.LOCK, "")
        if copy := _game_file(aside, config):
            shutil.copyfile(config.game, copy)
            storage.sync(copy)
        _write_config(aside, experiment.config)
    return experiment


def load(folder: str | os.PathLike) -> Experiment:
    """The experiment in a folder, or in a file that `psro export` wrote, as of its last finished
    iteration. One from a file is for reading only.

    Raises:
        ExperimentError: it is no experiment, has no finished iteration, is damaged, or was written
            by a newer version.
    """
    experiment = _open(folder)
    experiment._finished()
    return experiment


def run(config: RunConfig | None = None, out: str | os.PathLike | None = None) -> Experiment:
    """Trains a new experiment to its end. See `create` for `out`."""
    experiment = create(config or RunConfig(), out)
    for _ in experiment.train():
        pass
    return experiment


def resume(
    folder: str | os.PathLike, iterations: int | None = None, out: str | os.PathLike | None = None
) -> Experiment:
    """Trains the experiment in a folder to its end, or to `iterations`; see `reopen`."""
    experiment = reopen(folder, iterations, out)
    for _ in experiment.train():
        pass
    return experiment


def reopen(
    folder: str | os.PathLike, iterations: int | None = None, out: str | os.PathLike | None = None
) -> Experiment:
    """The experiment in a folder, to go on with; `iterations` replaces the number in its config.

    Going on gives bit for bit what a run without a stop would have given. An exported file is
    unpacked first, to a new folder `out`; by default beside it, with its name less the ending.
    """
    exported = archive.is_file(folder)
    if out is not None and not exported:
        raise ExperimentError(f"{folder} is no exported file: it goes on where it is")
    if exported:
        folder = _unpack(Path(folder), out)
    try:
        experiment = _open_folder(Path(folder), foreign=exported)
        with experiment._locked():
            _plan(experiment, iterations)
    except BaseException:
        if exported:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    return experiment


def _unpack(file: Path, out: str | os.PathLike | None) -> Path:
    folder = file.with_suffix("") if out is None else Path(out)
    with storage.writing(folder):
        taken = folder.exists() or folder.is_symlink()
    if taken:
        raise ExperimentError(f"{folder} exists already; name a new folder to unpack to with --out")
    archive.unpack(file, folder)
    return folder


def _plan(experiment: Experiment, iterations: int | None) -> None:
    """Writes what a stop, or another number of iterations, leaves to be written."""
    folder, done = experiment.folder, len(experiment.records) - 1
    if iterations is not None and iterations != experiment.config.iterations:
        if iterations < done:
            raise ExperimentError(f"{folder} has {done} iterations already, more than {iterations}")
        experiment.config = dataclasses.replace(experiment.config, iterations=iterations)
        with storage.writing(experiment.folder):
            _write_config(experiment.folder, experiment.config)
    if experiment.records:  # a stop between the commit and this file leaves it one row behind
        with storage.writing(experiment.folder):
            experiment._write_metrics()


def metrics_table(records: list[Record]) -> pd.DataFrame:
    """Records as a table: a column for each number, `value_0`, `value_1`, ... for each player's.
    `distance` is the gap of the `concept`, exploitability for nash."""
    rows = []
    for record in records:
        row: dict[str, Any] = {}
        for field in dataclasses.fields(record):
            name, value = field.name, getattr(record, field.name)
            if name == "seconds":
                row |= {f"seconds_{part}": seconds for part, seconds in value.items()}
            elif field.type.startswith("tuple"):
                row |= {
                    f"{name}_{p}": each
                    for p, each in enumerate(value or (None,) * len(record.value))
                }
            elif name == "meaning":
                row["distance"] = record.distance
            else:
                row[name] = value
        rows.append(row)
    return pd.DataFrame(rows)


def _ended(records: Sequence[Record], config: RunConfig) -> str | None:
    return why_ended(
        records,
        iterations=config.iterations,
        tolerance=config.tolerance,
        patience=config.patience,
    )


def _solve(name: str) -> Solve:
    """A meta-solver by its string, and what its results are measured as: the equilibrium that it
    aims at, else a coarse correlated one where they are joints and a Nash equilibrium where they
    are not."""
    solver = solver_of(name)

    def by_payoffs(meta_game: MetaGame) -> MetaStrategy:
        return MetaStrategy.of(solver.function(meta_game.payoffs))

    return Solve(
        solver=solver.function if name in TREE_SOLVERS else by_payoffs,
        concept=solver.concept or ("cce" if solver.joint else "nash"),
    )


def _with_defaults(config: RunConfig, tree: GameTree) -> RunConfig:
    """With what is left open decided, by the measurements of experiments/leaderboard/."""
    plain = config.meta_solver == "nash" and config.expansion == "best_response"
    two_player_zero_sum = tree.num_players == 2 and tree.is_constant_sum
    most = min(_MOST_PROGRAMMED, config.max_histories)  # a matrix is laid out for the program
    programmed = plain and two_player_zero_sum and tree.num_histories <= most
    return dataclasses.replace(
        config,
        evaluation_solver=config.evaluation_solver or ("least_exploitable" if programmed else SAME),
        init=config.init or STARTS.get(config.oracle, "scratch"),
    )


def _strategy_tensors(name: str, strategy: MetaStrategy) -> dict[str, np.ndarray]:
    if strategy.joint is not None:
        return {f"{name}/joint": strategy.joint}
    return {f"{name}/{p}": each for p, each in enumerate(strategy.marginals)}


def _read_strategy(tensors: Mapping[str, np.ndarray], name: str, num_players: int) -> MetaStrategy:
    if f"{name}/joint" in tensors:
        return MetaStrategy.of(tensors[f"{name}/joint"])
    return MetaStrategy.of([tensors[f"{name}/{p}"] for p in range(num_players)])


def _check_solvable(config: RunConfig, tree: GameTree) -> None:
    """Raises ValueError where a setting is for other games than this one."""
    for option, name in (
        ("meta-solver", config.meta_solver),
        ("evaluation-solver", config.evaluation or config.meta_solver),
    ):
        solver = solver_of(name)
        if solver.num_players not in (None, tree.num_players):
            raise ValueError(
                f"{option} {name} is for {solver.num_players} players and {config.game} is for "
                f"{tree.num_players}; use --{option} mgcce, or another that is for any number"
            )
        if solver.symmetric and not config.symmetric:
            raise ValueError(
                f"{option} {name} is for games whose players share one population; add --symmetric"
            )
        if name in TREE_SOLVERS and not tree.is_constant_sum:
            raise ValueError(f"{option} {name} is for zero-sum games, and {config.game} is none")
    expansion = EXPANSIONS[config.expansion]
    if expansion.num_players not in (None, tree.num_players):
        raise ValueError(
            f"expansion {config.expansion} is for {expansion.num_players} players and "
            f"{config.game} is for {tree.num_players}"
        )
    if expansion.num_players and solver_of(config.meta_solver).joint:
        raise ValueError(
            f"expansion {config.expansion} is for players who draw independently, and those of "
            f"meta-solver {config.meta_solver} do not"
        )
    if expansion.zero_sum and not tree.is_constant_sum:
        raise ValueError(
            f"expansion {config.expansion} is for zero-sum games, and {config.game} is none"
        )
    if config.symmetric and not expansion.symmetric:
        raise ValueError(
            f"expansion {config.expansion} needs a population of each player's own; leave out "
            "--symmetric"
        )
    if ORACLES[config.oracle].conditional and config.expansion != "hierarchy":
        raise ValueError(
            f"oracle {config.oracle} trains all policies further in every iteration; add "
            "--expansion hierarchy"
        )
    tabulated = getattr(getattr(config, config.oracle, None), "tabulated", None)
    if config.diversity and tabulated is False:
        raise ValueError(
            f"diversity {config.diversity} rewards what is played at info states, which oracle "
            f"{config.oracle} knows only with --{config.oracle}.tabulated"
        )
    if tabulated and tree.num_players > 2 and solver_of(config.meta_solver).joint:
        raise ValueError(
            f"{config.oracle}.tabulated needs opponents that draw independently, and those of "
            f"meta-solver {config.meta_solver} are correlated"
        )


def _game_file(folder: Path, config: RunConfig) -> Path | None:
    """Where a folder keeps its copy of a game that came from a file."""
    if not files.is_file(config.game):
        return None
    return folder / f"game{Path(config.game).suffix.lower()}"


def _check_game_file(folder: Path, config: RunConfig, digest: str | None) -> None:
    copy = _game_file(folder, config)
    if copy is None:
        return
    if not copy.is_file():
        raise ExperimentError(f"{copy} is missing: it is the game of this run, {config.game}")
    if files.digest(copy) != digest:
        raise ExperimentError(f"{copy} is damaged: it is not the game that this run began with")


def default_folder(game: str) -> Path:
    if files.is_file(game):
        game = Path(game).name
    name = re.sub(r"[^A-Za-z0-9_.=]+", "-", game).strip("-")[:80]
    stamp = datetime.datetime.now().strftime("%Y%m%dT%H%M%S")
    folder = Path("experiments") / f"{name}-{stamp}"
    number = 2
    while folder.exists():
        folder = folder.with_name(f"{name}-{stamp}-{number}")
        number += 1
    return folder


def _open(path: str | os.PathLike) -> Experiment:
    with archive.as_folder(path) as folder:
        experiment = _open_folder(folder, foreign=archive.is_file(path))
    experiment.folder = Path(path)
    return experiment


def _open_folder(folder: Path, *, foreign: bool = False) -> Experiment:
    """The experiment in a folder; `foreign` if that was unpacked from a file."""
    run_config = _read_run(folder, foreign=foreign)
    try:
        experiment = Experiment(folder, run_config)
    except ValueError as error:
        sentence = storage.sentence(error)
        raise ExperimentError(f"the run of {folder} cannot be loaded: {sentence}") from None
    experiment._restore()
    return experiment


def _read_run(folder: Path, *, foreign: bool = False) -> RunConfig:
    """The run of a folder, its copy of the game checked."""
    config = folder / CONFIG
    try:
        if not config.is_file():
            what = "has no config.json" if folder.is_dir() else "does not exist"
            raise ExperimentError(f"{folder} is no experiment: it {what}")
        fields = storage.read_json(config)
        storage.check_version(folder, fields["format_version"])
    except ExperimentError:
        raise
    except OSError as error:
        raise ExperimentError(f"cannot read {config}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ExperimentError(f"{config} is damaged: {storage.sentence(error)}") from None
    try:
        run_config = RunConfig.from_json(fields["run"])
        if run_config.evaluation_solver is None:  # of before that was decided by the game
            run_config = dataclasses.replace(run_config, evaluation_solver=SAME)
        _check_sizes(run_config)
        if foreign:
            check_shareable(run_config)
    except ExperimentError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise ExperimentError(f"{config} is damaged: {storage.sentence(error)}") from None
    _check_game_file(folder, run_config, fields.get("game_sha256"))
    return run_config


def _check_sizes(config: RunConfig) -> None:
    """Raises ValueError where a saved setting is beyond all use."""
    if len(config.game) > MAX_GAME:
        raise ValueError(f"its game's name is longer than {MAX_GAME:,} characters")
    if not config.game.isprintable():
        raise ValueError(f"its game's name, {config.game[:80]!r}, cannot be printed")
    for owner, settings in ("", config), *((f"{n}.", getattr(config, n)) for n in CONFIGS):
        for name, value in vars(settings).items():
            most = _MOST.get(name, 1 << 53) if not owner else 1 << 53
            if isinstance(value, int) and value > most:
                raise ValueError(f"{owner}{name} must be at most {most:,}")


def check_shareable(config: RunConfig) -> None:
    """Raises ExperimentError where loading the run would read a file that an export does not hold,
    or lay out a game larger than `psro run` does unasked."""
    if trial.NAMES_A_FILE.search(config.game):
        raise ExperimentError(
            f"{config.game[:80]!r} names a file of its own, which an exported run cannot; name the "
            "file itself, as in --game poker.efg, and the run keeps a copy"
        )
    if config.max_histories > games.MAX_HISTORIES:
        raise ExperimentError(
            f"max_histories = {config.max_histories:,} is more than an exported run may ask for, "
            f"{games.MAX_HISTORIES:,}"
        )


def read_config(path: str | os.PathLike) -> dict[str, Any]:
    """Settings of a run from a TOML or JSON file, by the names of `RunConfig`; a config.json that
    a run saved is one.

    Raises:
        ExperimentError: it cannot be read, or names what is no setting.
    """
    path = Path(path)
    try:
        if path.suffix == ".json":
            fields = storage.read_json(path)
        else:
            fields = tomllib.loads(path.read_text(encoding="utf-8"))
        fields = fields.get("run", fields)
        known = {None: RunConfig, **CONFIGS}
        for owner, config in known.items():
            names = {field.name for field in dataclasses.fields(config)}
            own = fields if owner is None else fields.get(owner, {})
            if not isinstance(own, dict):
                raise ValueError(f"{owner} = {own!r} must be a table of settings")
            for name in own:
                if name not in names:
                    near = difflib.get_close_matches(name, names, n=1)
                    hint = f"; did you mean {near[0]}?" if near else ""
                    setting = name if owner is None else f"{owner}.{name}"
                    raise ValueError(f"{setting} is no setting{hint}")
        RunConfig.from_json(fields)
    except OSError as error:
        raise ExperimentError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ExperimentError(f"{path}: {storage.sentence(error)}") from None
    return fields


def _write_config(folder: Path, config: RunConfig) -> None:
    fields = {
        "format_version": FORMAT_VERSION,
        "run": dataclasses.asdict(config),
        "versions": {name: importlib.metadata.version(name) for name in _PACKAGES},
    }
    if copy := _game_file(folder, config):
        fields["game_sha256"] = files.digest(copy)
    storage.write(folder / CONFIG, json.dumps(fields, indent=2) + "\n")


def _record(fields: Mapping[str, Any], number: int, num_players: int) -> Record:
    """Record `number` from what was saved of it; raises ValueError where that is no such record."""
    if "concept" not in fields:  # format 1
        nash = {"concept": "nash", "meaning": MEANINGS["nash"], "cce_gap": None, "ce_gap": None}
        fields = {**nash, **fields}
    fields = {"size": number + 1, **fields}  # before format 3
    record = Record(
        **{name: tuple(each) if isinstance(each, list) else each for name, each in fields.items()}
    )
    for field in dataclasses.fields(record):
        value, kind = getattr(record, field.name), field.type.removesuffix(" | None")
        sound = {
            "int": lambda value: type(value) is int,
            "float": _is_number,
            "str": lambda value: isinstance(value, str),
            "tuple[float, ...]": lambda value: len(value) == num_players and _are_numbers(value),
            "tuple[int, ...]": lambda value: len(value) == num_players and _are_numbers(value),
            "dict[str, float]": lambda value: _are_numbers(value.values()),
        }[kind]
        if not (value is None and kind != field.type) and not sound(value):
            raise ValueError(f"{field.name} of record {number}")
    if record.iteration != number or record.concept not in MEANINGS or record.distance is None:
        raise ValueError(f"iteration or concept of record {number}")
    return record


def _is_number(value: Any) -> bool:
    """Finite, and no bool."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _are_numbers(values: Iterable[Any]) -> bool:
    return all(map(_is_number, values))


def _check_commit(
    records: Sequence[Record],
    digests: Sequence[str],
    payoffs: np.ndarray,
    *strategies: MetaStrategy,
) -> None:
    """Raises ValueError where the parts of a commit do not fit together."""
    if not records or len(records) != len(digests):
        raise ValueError(f"{len(records)} records for {len(digests)} policies: one number")
    sizes = [0, *(record.size for record in records)]
    if sizes != sorted(sizes) or sizes[1] < 1:
        raise ValueError("size of a record")
    size, num_players = sizes[-1], len(payoffs)
    if payoffs.ndim != num_players + 1 or set(payoffs.shape[1:]) != {size}:
        raise ValueError(f"payoffs {payoffs.shape} for {size} policies: one number")
    if payoffs.dtype != np.float64 or not np.isfinite(payoffs).all():
        raise ValueError("payoffs")
    for strategy in strategies:
        for weights in (*strategy.marginals, strategy.joint):
            if weights is not None and not _are_weights(weights, size):
                raise ValueError("a meta-strategy")
        if strategy.joint is not None and strategy.joint.shape != payoffs.shape[1:]:
            raise ValueError("a joint meta-strategy")


def _are_weights(weights: np.ndarray, size: int) -> bool:
    """Whether this is a distribution, every axis of which is over so many policies."""
    return (
        set(weights.shape) == {size}
        and weights.dtype == np.float64
        and bool(weights.min() > -1e-6)  # what a linear program leaves
        and abs(weights.sum() - 1) < 1e-6
    )


def policy_file(number: int) -> str:
    """The name of an iteration's policies in the folder `policies`."""
    return f"{number:04d}.safetensors"


def _read_policies(path: Path, digest: str, number: int) -> tuple[Params, list[int]]:
    """An iteration's policies, leaves `[P, N, ...]`, and their N numbers in the populations."""
    tensors, info = storage.read_tensors(path)
    _check_named(path, info, digest)
    slots = info.get("slots", [number])
    try:
        if "slots" not in info:  # before format 3: one policy an iteration, and no axis for it
            tensors = {name: value[:, None] for name, value in tensors.items()}
        if not all(type(slot) is int and slot >= 0 for slot in slots) or not slots:
            raise ValueError("slots must be numbers of policies")
        if len(set(slots)) < len(slots):
            raise ValueError("a slot is there twice")
        for name, value in tensors.items():
            if value.dtype != np.float32 or not np.isfinite(value).all():
                raise ValueError(f"{name} must be finite float32 numbers")
            if value.ndim < 2 or value.shape[1] != len(slots):
                raise ValueError(f"{name} must hold {len(slots)} policies a player")
        return jax.tree.map(jnp.asarray, storage.unflatten(tensors)), slots
    except (IndexError, TypeError, ValueError) as error:
        raise ExperimentError(f"{path} is damaged: {storage.sentence(error)}") from None


def _check_named(path: Path, info: Mapping[str, Any], digest: str) -> None:
    if info["sha256"] != digest:
        raise ExperimentError(f"{path} is damaged: it is not the file that {COMMIT} names")


__all__ = [
    "Experiment",
    "ExperimentError",
    "RunConfig",
    "Snapshot",
    "TrainingDiverged",
    "create",
    "load",
    "metrics_table",
    "read_config",
    "reopen",
    "resume",
    "run",
    "snapshot",
]
