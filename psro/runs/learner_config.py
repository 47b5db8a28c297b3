"""The settings of `psro train`: one learner in a game for one player."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from psro.errors import SettingsError
from psro.oracles.checks import check_types
from psro.oracles.off_policy_settings import QConfig, ReplayConfig
from psro.oracles.sampled_settings import SampledConfig
from psro.oracles.settings import (
    CONFIGS,
    A2CConfig,
    DQNConfig,
    DreamerConfig,
    OnPolicyConfig,
    PPOConfig,
    PQNConfig,
    R2D2Config,
    ReinforceConfig,
    SACConfig,
)
from psro.policies import networks
from psro.policies.networks.settings import NetworkConfig
from psro.runs.config import MAX_GAME, check_cell
from psro.runs.kinds import check_names

LEARNERS = {
    name: CONFIGS[name]
    for name in ("ppo", "a2c", "reinforce", "dqn", "r2d2", "pqn", "sac", "dreamer")
}
"""The settings of each learner by its name: oracles that learn from episodes, each with a field of
`LearnerConfig`."""
TABLES: dict[str, type[Any]] = {**LEARNERS, "network": NetworkConfig}
"""The settings that are tables of their own, by name: of each learner, and of networks."""
DEFAULTS: dict[str, Any] = {
    "gamma": 0.99,
    "num_envs": 32,
    "num_strata": 1,
    "rollout_length": 64,
    "learning_rate": 1e-3,
}
"""Of every learner alone, where they are not those of best responses: episodes are long, and there
are no opponents to meet many of."""
ON_POLICY = DEFAULTS | {
    "sequence_length": 64,
    "entropy_weight": 0.01,
    "normalize_returns": True,
}
"""Of learners from fresh episodes. In units of the game's largest return, a reward of a long
episode is so small that the error of the values has next to no gradient beside the policy's."""
REPLAY = DEFAULTS | {"burn_in": 8, "num_sequences": 16, "num_batches": 32}
"""Of learners that replay: many small batches, because sequences are long."""
DREAMER = REPLAY | {"num_envs": 4, "num_sequences": 8, "num_batches": 8, "horizon": 15,
                    "reward_scale": 10.0, "least_spread": 0.2, "entropy_weight": 0.02}  # fmt: skip
"""A decision costs a dream of 15 for each of the times it is replayed: fewer are taken, and more is
learned from each."""
NOT_ALONE = ("decisions", "evaluations", "patience", "num_strata", "tabulated")
"""Settings of best responses that a learner alone does not have, or has as settings of its own."""
_MOST = {"decisions": 1 << 40, "evaluations": 100_000, "evaluation_episodes": 1 << 20,
         "hidden_size": 16_384}  # fmt: skip


def _defaults(kind: type[SampledConfig]) -> Any:
    own = ON_POLICY if issubclass(kind, OnPolicyConfig) else DEFAULTS
    own = REPLAY if issubclass(kind, ReplayConfig) else own
    if issubclass(kind, QConfig):  # what one decision changes is small beside a return
        own = own | {"reward_scale": 10.0}
    if kind is SACConfig:
        own = own | {"num_envs": 8, "reward_scale": 10.0, "entropy_weight_rate": 10.0,
                     "target_entropy": 0.7, "last_target_entropy": 0.1}  # fmt: skip
    if kind is PQNConfig:
        own = own | {"num_minibatches": 16}
    own = DREAMER if issubclass(kind, DreamerConfig) else own
    return dataclasses.field(default_factory=lambda: kind(**own))


@dataclasses.dataclass(frozen=True, kw_only=True)
class LearnerConfig:
    """Everything that the result of `psro train` depends on."""

    game: str
    """A game for one player, such as "gymnax::CartPole-v1"."""
    learner: str = "ppo"
    """The method: ppo, a2c, reinforce, dqn, r2d2, pqn, sac or dreamer."""
    decisions: int = 524_288
    """Decisions of the learner, rounded up to a multiple of evaluations * num_envs *
    rollout_length."""
    evaluations: int = 16
    """How often the policy is evaluated and saved, at even intervals."""
    evaluation_episodes: int = 128
    """Fresh episodes of each evaluation."""
    seed: int = 0
    """Seed of every random number."""
    cell: str = "gru"
    """Memory cell of the policy; none = a feed-forward network."""
    hidden_size: int = 64
    """Number of units in the encoder, and in the cell."""
    dtype: str = "float32"
    """The numbers that networks compute with: float32 or bfloat16."""
    ppo: PPOConfig = _defaults(PPOConfig)
    """Settings of the learner ppo."""
    a2c: A2CConfig = _defaults(A2CConfig)
    """Settings of the learner a2c."""
    reinforce: ReinforceConfig = _defaults(ReinforceConfig)
    """Settings of the learner reinforce."""
    dqn: DQNConfig = _defaults(DQNConfig)
    """Settings of the learner dqn."""
    r2d2: R2D2Config = _defaults(R2D2Config)
    """Settings of the learner r2d2."""
    pqn: PQNConfig = _defaults(PQNConfig)
    """Settings of the learner pqn."""
    sac: SACConfig = _defaults(SACConfig)
    """Settings of the learner sac."""
    dreamer: DreamerConfig = _defaults(DreamerConfig)
    """Settings of the learner dreamer."""
    network: NetworkConfig = dataclasses.field(default_factory=NetworkConfig)
    """Settings of the network around the cell."""

    def __post_init__(self):
        check_types(self)
        for name, kind in TABLES.items():
            if not isinstance(getattr(self, name), kind):
                raise SettingsError(f"{name} = {getattr(self, name)!r} must be a {kind.__name__}")
        for what, value, known in (
            ("learner", self.learner, LEARNERS),
            ("dtype", self.dtype, networks.DTYPES),
        ):
            if value not in known:
                raise SettingsError(f"unknown {what} {value!r}; known: {', '.join(known)}")
        check_cell(self.cell)
        check_cell(self.dreamer.cell)
        for name, most in _MOST.items():
            if not 1 <= getattr(self, name) <= most:
                raise SettingsError(
                    f"{name} = {getattr(self, name)} must be at least 1 and at most {most:,}"
                )
        if self.evaluation_episodes < 2:
            raise SettingsError(
                "evaluation_episodes = 1 gives no standard error; it must be at least 2"
            )
        if not 0 <= self.seed < 2**32:
            raise SettingsError(f"seed = {self.seed} must be between 0 and 2**32 - 1")
        if len(self.game) > MAX_GAME or not self.game.isprintable():
            raise SettingsError("the name of its game is too long or cannot be printed")

    @property
    def settings(self) -> SampledConfig:
        """The learner's settings, with the decisions and evaluations of the run."""
        return dataclasses.replace(
            getattr(self, self.learner), decisions=self.decisions, evaluations=self.evaluations
        )

    def in_use(self) -> dict[str, Any]:
        """The settings that the learner uses, by name, such as `ppo.gamma`: all but those of other
        learners."""
        values = {name: value for name, value in vars(self).items() if name not in TABLES}
        for owner in (self.learner, "network"):
            settings = vars(getattr(self, owner)).items()
            values |= {f"{owner}.{name}": v for name, v in settings if name not in NOT_ALONE}
        return values

    def defaults(self) -> dict[str, Any]:
        """The defaults of the settings in use; the game has none."""
        return LearnerConfig(game=self.game, learner=self.learner).in_use() | {
            "game": None,
            "learner": LearnerConfig.learner,
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> LearnerConfig:
        """The config from all or some of the fields that `dataclasses.asdict` gives. Raises
        PsroError if they are not valid."""
        check_names(cls, fields)
        if not isinstance(fields.get("game"), str):
            raise SettingsError("game must be the name of a game")
        values = dict(fields)
        for name in TABLES.keys() & fields.keys():
            if not isinstance(fields[name], Mapping):
                raise SettingsError(f"{name} = {fields[name]!r} must be a table of settings")
            check_names(TABLES[name], fields[name], f"{name}.")
            default = cls.__dataclass_fields__[name].default_factory()
            values[name] = dataclasses.replace(default, **fields[name])
        return cls(**values)

    @classmethod
    def from_folder(cls, fields: Mapping[str, Any]) -> LearnerConfig:
        """The config of a folder, from its fields. A setting that a saved table lacks is newer than
        the folder. It has the value of the table's class, with which a method does what it did
        before it had the setting; a learner alone may have another by default. Raises as
        `from_json`."""
        values = dict(fields)
        for name in TABLES.keys() & fields.keys():
            if isinstance(fields[name], Mapping):
                values[name] = dataclasses.asdict(TABLES[name]()) | fields[name]
        return cls.from_json(values)
