"""The settings of a run: their valid values, the games that they are for, and their defaults."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Collection, Mapping
from typing import Any

import games
from games.ways import BACKENDS, EVALUATIONS
from psro.errors import SettingsError
from psro.exact.restricted_game import METHODS
from psro.metagame.solvers.regret_minimisers import REGRET_MINIMISERS
from psro.metagame.solving import solver_of
from psro.oracles.checks import check_types
from psro.oracles.self_play_settings import (
    SELF_PLAY,
    MirrorConfig,
    MMDConfig,
    NFSPConfig,
    PPOSelfPlayConfig,
    RNaDConfig,
)
from psro.oracles.settings import (
    CONFIGS,
    A2CConfig,
    ConditionalConfig,
    DistillConfig,
    DQNConfig,
    DreamerConfig,
    FullWidthConfig,
    PPOConfig,
    PQNConfig,
    R2D2Config,
    ReinforceConfig,
    SACConfig,
)
from psro.policies import networks
from psro.policies.initial import INITS
from psro.policies.networks.settings import NetworkConfig
from psro.runs.kinds import check_names, is_tabular, known_oracles, own_settings_of, with_plugin
from psro.runs.origin import Origin
from psro.variants.diversity import TERMS
from psro.variants.expansions import EXPANSIONS

TABLES: dict[str, type[Any]] = {**CONFIGS, **SELF_PLAY, "network": NetworkConfig}
"""The settings that are tables of their own, by name: of each oracle, of each learner of self-play,
and of networks."""
SAME = "same"
"""The evaluation solver that measures the mixture that best responses train against."""
DECIDED = ("evaluation", "evaluation_solver", "horizon", "init", "payoff_error", "tolerance")
"""The default of these settings depends on the game or on other settings (`with_defaults` in
`fitting`). The default of `meta_solver` depends on the number of players alone."""
MAX_MODULE = 200
"""Most characters of a module's name."""
MAX_GAME = 10_000
"""Most characters of a game's name in a saved run. A Tiny Hanabi payoff table takes hundreds."""


def _cells(name: str) -> Collection[str]:
    """The known cells. As in `_oracles`, `CELLS` is read only if the name is not our own."""
    if name in networks.BUILT_IN:
        return networks.BUILT_IN
    return with_plugin("psro.cells", name, networks.CELLS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that a run's result depends on."""

    game: str = "kuhn_poker"
    """A game of OpenSpiel with its parameters, such as "leduc_poker(players=3)", or a file: .efg or
    .nfg of Gambit, or payoffs as .csv (zero-sum), .npy or .npz."""
    start_from: str | None = None
    """Start from the policies of a saved run (its folder, or a file that psro export wrote), or
    from OpenSpiel policies (a .py file whose `policies` are a list of them). All become members of
    the new populations. By default each player starts with one untrained policy."""
    iterations: int = 12
    """Iterations of PSRO. Each player starts with an untrained policy, and each iteration adds one
    policy per player."""
    seed: int = 0
    """Seed of every random number."""
    oracle: str = "ppo"
    """The method that trains best responses: ppo, a2c, reinforce, dqn, r2d2, pqn, sac, dreamer (a
    world model), full_width, distill, conditional (one network for all policies: NeuPL), or
    best_response (exact, as a table: double oracle)."""
    cell: str = "lstm"
    """Memory cell of the policies: lstm, gru, block_gru, slstm, mlstm, xlstm, gtrxl, gpt2, s5, shm,
    dnc, ffm, or none for feed-forward networks."""
    hidden_size: int = 32
    """Number of units in the encoder, and in the cell."""
    dtype: str = "float32"
    """The numbers that networks compute with: float32 or bfloat16. bfloat16 is faster only on
    accelerators. Parameters and recurrent memory are always float32. Exact results are always
    float64."""
    meta_solver: str | None = None
    """The mixture that opponents are drawn from: nash (two players), uniform, last, last_k,
    suffix_average,
    fictitious_play, regret_matching, hedge, replicator, projected_replicator,
    regularized_replicator, qre, alpha_rank, alpha_rank_single (two players, symmetric); a
    correlated equilibrium with the largest Gini impurity, welfare or entropy: mgcce, mwcce, mecce
    (coarse), mgce, mwce, mece; or least_exploitable (two players, zero-sum), the mixture that is
    hardest to exploit. By default nash for two players, and mgcce for three or more. Write settings
    in brackets: "projected_replicator(gamma=0.05)"."""
    evaluation_solver: str | None = None
    """The meta-solver of the mixture that is measured and saved as the result. same = the mixture
    that opponents are drawn from. The default is least_exploitable if the meta-solver is nash, the
    expansion is best_response, and the game is a two-player zero-sum game of at most 500,000
    histories. Otherwise the default is same."""
    symmetric: bool = False
    """All players share one population and one mixture, as if seats were drawn at random. Each
    iteration then trains one best response, not one for each player. For games that are the same
    for every player."""
    evaluation: str = "auto"
    """How policies are measured: exact (in a game that is enumerated, or whose players' own info
    states fit into memory), sampled (by episodes, with standard errors), or auto: exact where the
    game fits, and otherwise sampled."""
    backend: str = "auto"
    """What plays the game: tree (look-ups in the enumerated game), native (rules in JAX), openspiel
    (OpenSpiel's states, on the host), or auto: the first of these that the game has."""
    payoff_episodes: int = 512
    """Sampled payoffs: episodes for each profile of policies to begin with, in steps of 128."""
    payoff_error: float | None = None
    """Sampled payoffs: more episodes are played until the standard error of the meta-strategy's
    value is at most this. By default one hundredth of the game's largest return."""
    observation: str | None = None
    """What policies see: information_state or observation. By default information_state, if the
    game provides it."""
    max_histories: int = games.MAX_HISTORIES
    """Refuse to enumerate a game with more histories."""
    imports: tuple[str, ...] = ()
    """Modules that register games, oracles or other plug-ins. They are imported first."""
    expansion: str = "best_response"
    """What an iteration adds to the populations: best_response (PSRO), rectified (PSRO_rN),
    pipeline (P2SRO), hierarchy (DCH), candidates (Global PSRO), anytime (APSRO), stochastic
    (SP-PSRO), extensive (XDO; with networks, NXDO), bundle (best responses to a mixture that moves
    by small steps), self_play (no best responses: all players learn together), union (self_play
    first, then best_response), fictitious (self_play first, then fictitious play from its last
    policy), fictitious_average (from the average of its newer half), or fictitious_decay (from
    the same with more weight on newer policies)."""
    levels: int = 4
    """Number of best responses that each player trains side by side, with the expansions rectified,
    pipeline, hierarchy and candidates. rectified keeps one for each policy that has weight."""
    rounds: int = 10
    """Number of parts that the expansions anytime and stochastic divide training into. Opponents
    change their mixture after each part."""
    regret_minimiser: str = "regret_matching_plus"
    """How opponents change their mixture after each of these parts: regret_matching_plus, or hedge
    (multiplicative weights)."""
    restricted_solver: str = "auto"
    """How the expansion extensive (XDO) solves the restricted game: linear_program, cfr_plus, mmd
    (magnetic mirror descent in self-play), or auto. auto uses linear_program, but cfr_plus if the
    program would be large."""
    self_play: str = "ppo_self_play"
    """How all players learn together, with the expansion self_play: ppo_self_play (PPO with an
    entropy bonus that falls), mmd (magnetic mirror descent), mirror (its
    closed-form step over all actions, by a central critic), rnad (regularised Nash dynamics),
    or nfsp (neural fictitious self-play)."""
    horizon: int | None = None
    """The number of iterations of self-play, over which its schedules run: step sizes, and the
    weights of entropy. After them the last values stay. The expansions union and fictitious
    train best responses from then on, and so do fictitious_average and fictitious_decay. By default
    the run's number of iterations when it is made; with the first two half of it, and with the last
    two nine tenths."""
    diversity: str | None = None
    """A reward for best responses that differ from their population: expected_cardinality
    (DPP-PSRO), behavioural, response, bd_rd (behavioural and response: BD&RD), or policy_hull
    (PSD-PSRO). For oracles that see all info states. By default no reward."""
    diversity_weight: float = 0.1
    """The weight of the reward for diversity. A diversity of 1 is worth this share of the game's
    largest return."""
    init: str | None = None
    """The network that training starts from: scratch (a fresh network), previous (the last best
    response), fusion (the average of the player's networks, weighted by its meta-strategy), or
    perturbed (nine tenths of that average and one tenth of a fresh network). By default perturbed
    for the oracles ppo, a2c and reinforce, and otherwise scratch."""
    tolerance: float | None = None
    """The run has converged when its exploitability is at most this, in units of the game's payoff.
    0 = never stop early. By default 1e-6. If the game's payoffs span less than 1, the default is a
    millionth of that span."""
    patience: int = 5
    """The run ends after this number of iterations in a row in which no best response beats the
    meta-strategy by more than the tolerance."""
    ppo: PPOConfig = dataclasses.field(default_factory=PPOConfig)
    """Settings of the oracle ppo."""
    a2c: A2CConfig = dataclasses.field(default_factory=A2CConfig)
    """Settings of the oracle a2c."""
    reinforce: ReinforceConfig = dataclasses.field(default_factory=ReinforceConfig)
    """Settings of the oracle reinforce."""
    dqn: DQNConfig = dataclasses.field(default_factory=DQNConfig)
    """Settings of the oracle dqn."""
    r2d2: R2D2Config = dataclasses.field(default_factory=R2D2Config)
    """Settings of the oracle r2d2."""
    pqn: PQNConfig = dataclasses.field(default_factory=PQNConfig)
    """Settings of the oracle pqn."""
    sac: SACConfig = dataclasses.field(default_factory=SACConfig)
    """Settings of the oracle sac."""
    dreamer: DreamerConfig = dataclasses.field(default_factory=DreamerConfig)
    """Settings of the oracle dreamer."""
    full_width: FullWidthConfig = dataclasses.field(default_factory=FullWidthConfig)
    """Settings of the oracle full_width."""
    distill: DistillConfig = dataclasses.field(default_factory=DistillConfig)
    """Settings of the oracle distill."""
    conditional: ConditionalConfig = dataclasses.field(default_factory=ConditionalConfig)
    """Settings of the oracle conditional."""
    ppo_self_play: PPOSelfPlayConfig = dataclasses.field(default_factory=PPOSelfPlayConfig)
    """Settings of the self-play ppo_self_play."""
    mmd: MMDConfig = dataclasses.field(default_factory=MMDConfig)
    """Settings of the self-play mmd."""
    mirror: MirrorConfig = dataclasses.field(default_factory=MirrorConfig)
    """Settings of the self-play mirror."""
    rnad: RNaDConfig = dataclasses.field(default_factory=RNaDConfig)
    """Settings of the self-play rnad."""
    nfsp: NFSPConfig = dataclasses.field(default_factory=NFSPConfig)
    """Settings of the self-play nfsp."""
    network: NetworkConfig = dataclasses.field(default_factory=NetworkConfig)
    """Settings of the network around the cell."""
    settings: Any = dataclasses.field(default_factory=lambda: None)
    """Settings of an oracle of one's own: a value of the dataclass that its class has as
    `settings`. By default that of all defaults."""
    origin: Origin | None = dataclasses.field(default_factory=lambda: None)
    """What `start_from` held when the run was made. It is filled in then."""

    def __post_init__(self):
        check_types(self)
        object.__setattr__(self, "imports", _modules(self.imports))
        if not isinstance(self.origin, Origin | None):
            raise SettingsError(f"origin = {self.origin!r} must be an Origin")
        for name, kind in TABLES.items():
            if not isinstance(getattr(self, name), kind):
                raise SettingsError(f"{name} = {getattr(self, name)!r} must be a {kind.__name__}")
        for what, name, known in (
            ("oracle", self.oracle, known_oracles(self.oracle)),
            ("cell", self.cell, _cells(self.cell)),
            ("cell", self.dreamer.cell, _cells(self.dreamer.cell)),
            ("dtype", self.dtype, networks.DTYPES),
            (
                "expansion",
                self.expansion,
                with_plugin("psro.expansions", self.expansion, EXPANSIONS),
            ),
            ("regret minimiser", self.regret_minimiser, REGRET_MINIMISERS),
            ("restricted solver", self.restricted_solver, METHODS),
            ("self-play", self.self_play, SELF_PLAY),
            ("diversity", next(iter(TERMS)) if self.diversity is None else self.diversity, TERMS),
            ("evaluation", self.evaluation, EVALUATIONS),
            ("backend", self.backend, BACKENDS),
            ("init", next(iter(INITS)) if self.init is None else self.init, INITS),
        ):
            if name not in known:
                near = difflib.get_close_matches(str(name), known, n=1)
                hint = f"did you mean {near[0]}? " if near else ""
                raise SettingsError(f"unknown {what} {name!r}; {hint}known: {', '.join(known)}")
        object.__setattr__(self, "settings", own_settings_of(self.oracle, self.settings))
        if self.meta_solver is not None:
            solver_of(self.meta_solver)
        if self.measuring_solver is not None:
            solver_of(self.measuring_solver)
        for name, least in (
            ("iterations", 1),
            ("levels", 1),
            ("rounds", 1),
            ("horizon", 1),
            ("hidden_size", 1),
            ("max_histories", 1),
            ("patience", 1),
            ("tolerance", 0),
            ("payoff_episodes", 1),
            ("payoff_error", 0),
            ("diversity_weight", 0),
        ):
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise SettingsError(f"{name} = {value} must be at least {least}")
        if not 0 <= self.seed < 2**32:
            raise SettingsError(f"seed = {self.seed} must be between 0 and 2**32 - 1")
        if self.init not in (None, "scratch") and is_tabular(self.oracle):
            raise SettingsError(
                f"init {self.init} starts from trained networks, and {self.oracle} has no networks"
            )

    @property
    def measuring_solver(self) -> str | None:
        """The meta-solver of the measured mixture. None if this is the mixture that best responses
        train against. The config must have its defaults decided (`fitting.with_defaults`)."""
        return None if self.evaluation_solver in (None, SAME) else self.evaluation_solver

    @property
    def solvers(self) -> str:
        """Both meta-solvers in words."""
        measured = f", measured by {self.measuring_solver}" if self.measuring_solver else ""
        return f"meta-solver {self.meta_solver}{measured}"

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> RunConfig:
        """The config from all or some of the fields that `dataclasses.asdict` gives. Raises
        PsroError if they are not valid."""
        own, oracle = {}, fields.get("oracle")
        if isinstance(oracle, str) and oracle not in TABLES and oracle in fields:
            own["settings"] = fields[oracle]  # a table that is named after an oracle of one's own
            fields = {name: value for name, value in fields.items() if name != oracle}
        check_names(cls, fields)
        for owner in fields.keys() & TABLES.keys():
            if not isinstance(fields[owner], Mapping):
                raise SettingsError(f"{owner} = {fields[owner]!r} must be a table of settings")
            check_names(TABLES[owner], fields[owner], f"{owner}.")
        settings = {name: TABLES[name](**fields[name]) for name in TABLES if name in fields}
        settings |= own
        if fields.get("origin") is not None:
            settings["origin"] = Origin.from_json(fields["origin"])
        return cls(**{**fields, **settings})

    @property
    def oracle_settings(self) -> Any:
        """The settings of the run's oracle; None if it has none."""
        return getattr(self, self.oracle) if self.oracle in TABLES else self.settings

    def with_oracle_settings(self, settings: Any) -> RunConfig:
        """The config with other settings of its oracle."""
        name = self.oracle if self.oracle in TABLES else "settings"
        return dataclasses.replace(self, **{name: settings})

    @property
    def begun(self) -> int:
        """The number of policies of each player in iteration 0."""
        return self.origin.size if self.origin else 1


def check_cell(name: str) -> None:
    """Raises SettingsError for a cell that is not known."""
    known = _cells(name)
    if name not in known:
        raise SettingsError(f"unknown cell {name!r}; known: {', '.join(known)}")


def default_meta_solver(num_players: int) -> str:
    """`nash` for two players. For more players, a meta-solver for any number of players."""
    return "nash" if num_players == 2 else "mgcce"


def _modules(names: Any) -> tuple[str, ...]:
    """Names of modules, checked, from a list or tuple."""
    if not isinstance(names, list | tuple):
        raise SettingsError(f"imports = {names!r} must be a list of modules")
    for name in names:
        check_module(name)
    return tuple(names)


def check_module(name: Any) -> None:
    """Raises SettingsError if this cannot be the name of a module."""
    words = name.split(".") if isinstance(name, str) else [""]
    if not all(word.isidentifier() for word in words) or len(name) > MAX_MODULE:
        raise SettingsError(f"{str(name)[:MAX_MODULE]!r} cannot be the name of a module")
