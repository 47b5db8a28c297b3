"""The options of `psro run`: first the general options, then the settings of `RunConfig` by topic.
A variant and a config file change the defaults."""

from __future__ import annotations

import dataclasses
import sys
import typing
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import OmitArgPrefixes, arg

from games import plugins
from games.ways import BACKENDS, EVALUATIONS
from psro.cli.arguments import field_texts
from psro.cli.process import UsageError
from psro.exact.restricted_game import METHODS
from psro.metagame.solvers import META_SOLVERS
from psro.metagame.solvers.regret_minimisers import REGRET_MINIMISERS
from psro.metagame.solving import GAME_SOLVERS
from psro.oracles.self_play_settings import SELF_PLAY
from psro.oracles.settings import CONFIGS, TABULAR
from psro.policies import networks
from psro.policies.initial import INITS
from psro.runs.config import TABLES, RunConfig
from psro.runs.config_file import read_config
from psro.runs.kinds import is_tabular, settings_of_own
from psro.training.executor_settings import EXECUTORS, ExecutorConfig
from psro.variants.diversity import TERMS
from psro.variants.expansions import EXPANSIONS
from psro.variants.published import VARIANTS, unknown_variant


@dataclasses.dataclass(frozen=True, kw_only=True)
class Made:
    """The options of `psro run` that are not settings of a run."""

    variant: str | None = None
    """A published variant of PSRO: a name for a group of settings. `psro variants` lists them. By
    default no variant; the list calls it default."""
    config: str | None = None
    """TOML or JSON file with settings, such as a run's config.json. The file replaces settings of
    --variant, and options on the command line replace settings of the file."""
    seeds: int | None = None
    """Train N runs side by side, with --seed and the seeds after it. Each run has a folder seed-N
    in the folder of the run. A summary has the means with 95 % intervals. By default one run."""
    out: str | None = None
    """New folder for the run. It must not exist. By default a folder in experiments/, named after
    the game, the variant and the time."""
    or_resume: bool = False
    """If the folder of --out exists, continue the run in it. It must be the same run."""
    log: tuple[str, ...] = ()
    """Write records also to file (log.jsonl), tensorboard, wandb, mlflow, or several of them.
    metrics.csv is always written."""
    wall_limit: float | None = None
    """Stop after this number of seconds, with exit code 75. Everything is saved, and the same
    command with --or-resume continues. It also stops when the next iteration would not fit. By
    default there is no limit."""


FIRST = (
    "game", "variant", "iterations", "seeds", "seed", "oracle", "meta_solver", "out", "or_resume",
    "config",
)  # fmt: skip
"""The options that most runs need, in the order in which help shows them."""

TOPICS = {
    "start": ("start_from",),
    "population": (
        "expansion", "levels", "rounds", "regret_minimiser", "restricted_solver",
        "self_play", "horizon", "evaluation_solver", "symmetric",
    ),
    "network": ("cell", "hidden_size", "dtype", "init"),
    "diversity": ("diversity", "diversity_weight"),
    "stopping": ("tolerance", "patience"),
    "game": ("observation", "max_histories", "backend", "imports"),
    "measuring": ("evaluation", "payoff_episodes", "payoff_error"),
    "output": ("log",),
    "workers": (
        "executor", "workers", "measuring_workers", "task_limit", "gpu_share", "ray_address",
        "wall_limit",
    ),
}  # fmt: skip
"""The other options under the headings of the help text. Options without a topic come last."""
_LAST = "more"

_METAVARS = {
    "config": "FILE", "game": "GAME", "meta_solver": "SOLVER", "evaluation_solver": "SOLVER",
    "out": "FOLDER", "imports": "MODULE ...", "start_from": "FOLDER|FILE",
}  # fmt: skip
_OPTIONS = {"imports": "import", "ray_address": "ray.address"}
"""Options that are not named after their setting, because Python has the word, or no dots."""


def _names(option: str) -> Collection[str]:
    """The names that an option takes, as registered so far; empty if it takes no names. Oracles and
    cells from other packages are known only after JAX is loaded, because they need JAX."""
    known = "psro.oracles.known" in sys.modules
    solvers = [*META_SOLVERS, *GAME_SOLVERS]
    return {
        "oracle": sys.modules["psro.oracles"].ORACLES if known else [*CONFIGS, *TABULAR],
        "cell": vars(networks).get("CELLS", networks.BUILT_IN),
        "dtype": networks.DTYPES,
        "meta_solver": solvers,
        "expansion": EXPANSIONS,
        "regret_minimiser": REGRET_MINIMISERS,
        "restricted_solver": METHODS,
        "self_play": SELF_PLAY,
        "diversity": TERMS,
        "init": INITS,
        "evaluation": EVALUATIONS,
        "backend": BACKENDS,
        "executor": EXECUTORS,
    }.get(option, ())


def _default(shown: str) -> str:
    """The text that shows an option's default. It is empty if the default is none, because the
    explanation then says what happens."""
    return "" if shown in ("None", "False", "") else f"(default: {shown})"


def _option(name: str, kind: Any, text: str, default: Any) -> tuple[str, Any, Any]:
    """A field of a typed dataclass: its name, its type with the help text, and its default."""
    unsaid = [known for known in _names(name) if known not in text]
    if unsaid:
        text = f"{text} Also known: {', '.join(unsaid)}."
    types = typing.get_args(kind) or (kind,)
    metavar = "N" if int in types else "X" if float in types else "NAME"
    metavar += " ..." if Ellipsis in types else ""
    shown = arg(
        name=_OPTIONS.get(name),
        help=text,
        metavar=None if kind is bool else _METAVARS.get(name, metavar),
        help_behavior_hint=_default,
    )
    return name, Annotated[kind, shown], dataclasses.field(default=default)


def typed_options(name: str, fields: list[tuple[str, Any, Any]]) -> type:
    made = dataclasses.make_dataclass(name, fields, frozen=True, kw_only=True)
    made.__doc__ = ""
    return made


def options_of(config: type) -> dict[str, tuple[str, Any, Any]]:
    """The options of a config's fields, by name, except fields that are configs. The config's own
    checks do not run here, because tyro would add internal names to their sentences."""
    texts, kinds = field_texts(config), typing.get_type_hints(config)
    return {
        field.name: _option(field.name, kinds[field.name], texts[field.name], field.default)
        for field in dataclasses.fields(config)
        if field.default is not dataclasses.MISSING
    }


_WORKERS = typed_options("WorkerOptions", list(options_of(ExecutorConfig).values()))
Workers = Annotated[_WORKERS, OmitArgPrefixes, arg(name="workers", help="")]
"""The options of `ExecutorConfig`, for commands that have few others."""
LOCAL = _WORKERS()


def executing_of(options: Any) -> ExecutorConfig:
    """Where work is done, checked, from a value of `Workers`."""
    return ExecutorConfig(**vars(options))


def run_options(settings: Mapping[str, Any]) -> Any:
    """All options of `psro run`, as a dataclass. Its defaults are `settings`, by the names of
    `RunConfig`, and the standard defaults for the rest."""
    options = options_of(Made) | options_of(ExecutorConfig) | options_of(RunConfig)
    said = {*FIRST, *(name for names in TOPICS.values() for name in names)}
    topics = {**TOPICS, _LAST: tuple(name for name in options if name not in said)}
    fields = [options[name] for name in FIRST]
    values = {name: settings[name] for name in FIRST if name in settings}
    for topic, names in topics.items():
        if names:
            kind = typed_options(f"{topic.title()}Options", [options[name] for name in names])
            shown = Annotated[kind, OmitArgPrefixes, arg(name=topic, help="")]
            fields.append((f"{topic}_options", shown, dataclasses.field()))
            own = {
                name: tuple(value) if isinstance(value, list) else value
                for name, value in settings.items()
                if name in names
            }
            values[f"{topic}_options"] = kind(**own)
    for owner, config in (TABLES | _own_tables(settings)).items():
        kind = typed_options(f"{config.__name__}Options", list(options_of(config).values()))
        kinds = (CONFIGS, f"the oracle {owner}"), (SELF_PLAY, f"the self-play {owner}")
        network = "the network around the cell"
        what = next((words for known, words in kinds if owner in known), None)
        what = what or (network if owner == "network" else f"the oracle {owner}")
        shown = Annotated[kind, arg(help=f"Settings of {what}.")]
        fields.append((owner, shown, dataclasses.field()))
        own = settings.get(owner) or {}
        if not own and owner == settings.get("oracle"):
            own = settings.get("settings") or {}
        values[owner] = kind(**own)
    return typed_options("RunOptions", fields)(**values)


def _own_tables(settings: Mapping[str, Any]) -> dict[str, type]:
    """The settings of oracles from outside the package that are registered, and of that in
    `settings`, which may be an installed package's."""
    name = settings.get("oracle")
    if isinstance(name, str) and name not in (*CONFIGS, *TABULAR):
        known = sys.modules["psro.oracles"].ORACLES
        if name.isidentifier() and name not in known:
            plugins.find("psro.oracles", name, known)
    if "psro.oracles.known" not in sys.modules:
        return {}
    kinds = {
        name: settings_of_own(name)
        for name in sys.modules["psro.oracles"].ORACLES
        if name not in (*CONFIGS, *TABULAR)
    }
    return {name: kind for name, kind in kinds.items() if kind is not None}


def config_and_rest(options: Any) -> tuple[RunConfig, Made, ExecutorConfig]:
    """A run's settings, checked, the other options, and where its work is done, from a value of
    `run_options`."""
    values, own = {}, _own_tables({})
    for name, value in vars(options).items():
        if name in own:
            if name == options.oracle:
                values["settings"] = dict(vars(value))
        elif name in TABLES:
            values[name] = dict(vars(value))
        else:
            values |= vars(value) if dataclasses.is_dataclass(value) else {name: value}
    made, executing = (
        kind(**{field.name: values.pop(field.name) for field in dataclasses.fields(kind)})
        for kind in (Made, ExecutorConfig)
    )
    return RunConfig.from_json(values), made, executing


def _said_once(arguments: list[str], option: str) -> str | None:
    """The value of an option of `run` that is needed before the rest is parsed."""
    if arguments[:1] != ["run"]:
        return None
    said = []
    for number, argument in enumerate(arguments):
        if argument.startswith(f"{option}="):
            said.append(argument.removeprefix(f"{option}="))
        if argument == option and number + 1 < len(arguments):
            said.append(arguments[number + 1])
    if len(said) > 1:
        raise UsageError(
            f"{option} is given {len(said)} times, with {' and '.join(said)}; give it once"
        )
    return said[0] if said else None


def settings_of(arguments: list[str]) -> Mapping[str, Any]:
    """The settings that `--variant` and `--config` give in the arguments of `run`."""
    name, file = _said_once(arguments, "--variant"), _said_once(arguments, "--config")
    if name is not None and name not in VARIANTS:
        raise UsageError(unknown_variant(name))
    settings = read_config(file) if file else {}
    start = _said_once(arguments, "--start-from") or settings.get("start_from")
    oracle = _said_once(arguments, "--oracle")
    return merged(
        {**(inherited(start) if start else {}), **({"oracle": oracle} if oracle else {})},
        merged(VARIANTS[name].settings if name else {}, settings),
    )


def inherited(start: str) -> dict[str, Any]:
    """The settings of the run that another one starts from which are that one's defaults: the game,
    how it is seen, and the network. How policies are trained is said anew."""
    from psro.runs import archive, folder

    if Path(start).suffix == ".py":
        return {}
    with archive.as_folder(start) as saved:
        exported = archive.is_file(start)
        config = folder.read_run(saved, foreign=exported)
        game = config.game if exported else folder.source_of(saved, config)
    names = ["observation", "backend", "max_histories", "imports", "symmetric"]
    if not is_tabular(config.oracle):
        names += ["cell", "hidden_size", "dtype"]
    settings = {name: getattr(config, name) for name in names}
    return settings | {"game": game, "network": dataclasses.asdict(config.network)}


def merged(settings: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """`settings`, with those of `more` in their place. An oracle's settings are merged one by
    one."""
    result = dict(settings)
    for name, value in more.items():
        before = result.get(name)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        result[name] = merged(before, value) if both else value
    return result


def typed(settings: Mapping[str, Any], prefix: str = "--") -> str:
    """Settings in the form of the command line."""
    return "\n".join(
        typed(value, f"{prefix}{name}.")
        if isinstance(value, Mapping)
        else f"{prefix}{name.replace('_', '-')}{'' if value is True else f' {value}'}"
        for name, value in settings.items()
    )
