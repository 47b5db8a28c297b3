"""`psro train ENV`: one learner alone; and the other commands for its folders."""

from __future__ import annotations

import dataclasses
import json as json_format
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from psro.cli.folders import proposed
from psro.cli.options import options_of, typed_options
from psro.cli.process import complain, exit_code, note, noting_interrupts, say
from psro.runs.learner_config import LEARNERS, NOT_ALONE, TABLES, LearnerConfig

if TYPE_CHECKING:
    from psro.runs.learner import LearnerRun

_TRAIN = """Train one learner alone, in a game for one player, and save it as an experiment folder.

ENV is the name of an environment, such as popjaxrl::RepeatPreviousEasy or gymnax::CartPole-v1.
"""
_EPISODES = 1_024


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Made:
    """The options of `psro train` that are not settings."""

    seeds: int | None = None
    """Train N learners, with --seed and the seeds after it, each in a folder seed-N."""
    out: str | None = None
    """New folder. It must not exist. By default a folder in experiments/, named after the game, the
    learner and the time."""
    log: tuple[str, ...] = ()
    """Write evaluations also to file (log.jsonl), tensorboard, wandb, mlflow, or several of them.
    metrics.csv is always written."""


def without_usual(arguments: list[str]) -> list[str]:
    """The arguments of any command. Those of `train` are without flags that switch on what is on by
    default, which are no options: in best responses they are off."""
    if arguments[:1] != ["train"]:
        return arguments
    usual = [
        f"--{name}.{key.replace('_', '-')}"
        for name in TABLES
        for key, value in vars(LearnerConfig.__dataclass_fields__[name].default_factory()).items()
        if value is True
    ]
    return [argument for argument in arguments if argument not in usual]


def train_with(arguments: list[str]) -> Callable[..., None]:
    """The command `train`. Its options are made only if it runs."""

    def train() -> None:
        """Used if another command runs."""

    if arguments[:1] == ["train"]:
        options = _options()

        def train(env: str, options: Any = options) -> None:
            _train(env, options)

        train.__annotations__ = {
            "env": Annotated[Positional[str], arg(metavar="ENV", help="A game for one player.")],
            "options": Annotated[type(options), arg(name="")],
            "return": None,
        }
    train.__doc__ = _TRAIN
    return train


def _options() -> Any:
    own = {**options_of(_Made), **options_of(LearnerConfig)}
    fields, values = [own[name] for name in own if name not in TABLES], {}
    for name, config in TABLES.items():
        defaults = vars(LearnerConfig.__dataclass_fields__[name].default_factory())
        settings = {k: v for k, v in options_of(config).items() if k not in NOT_ALONE}
        kind = typed_options(f"{config.__name__}Options", list(settings.values()))
        what = f"the learner {name}" if name in LEARNERS else "the network around the cell"
        shown = Annotated[kind, arg(help=f"Settings of {what}.")]
        fields.append((name, shown, dataclasses.field()))
        values[name] = kind(**{key: defaults[key] for key in settings})
    kind = typed_options("TrainOptions", fields)
    return kind(**values)


def _train(env: str, options: Any) -> None:
    from psro.runs import learner, loggers

    values = dict(vars(options))
    made = {field.name: values.pop(field.name) for field in dataclasses.fields(_Made)}
    settings = {name: vars(v) if name in TABLES else v for name, v in values.items()}
    config = LearnerConfig.from_json({"game": env, **settings})
    loggers.check(made["log"])
    if made["seeds"] is None:
        train_all([learner.create(config, made["out"])], made["log"])
    else:
        train_all(learner.create_many(config, made["seeds"], made["out"]), made["log"])


def train_all(runs: Sequence[LearnerRun], log: Sequence[str] = ()) -> None:
    """Trains learners side by side, shows every evaluation, then draws the curves."""
    from psro.runs import loggers
    from psro.views import dashboard

    first = runs[0].config
    say(f"{first.game}: {first.learner}, {first.cell} of {first.hidden_size}")
    say(f"{'seed':>6} {'decisions':>12} {'return':>12} {'± error':>10} {'seconds':>8}")
    for run in runs:
        for record in run.records:
            _line(run, record)
    interrupted = None
    try:
        with (
            loggers.logging_many(log, runs, complain=complain) as tell,
            dashboard.live(runs) as refresh,
            noting_interrupts() as interrupts,
        ):
            going = {id(run): (run, run.train()) for run in runs}
            while going:
                for key, (run, training) in list(going.items()):
                    record = next(training, None)
                    if record is None:
                        del going[key]
                        continue
                    _line(run, record)
                    tell()
                    refresh()
                    if interrupts:
                        raise interrupts[0]
    except KeyboardInterrupt as error:
        interrupted = error
    folder = runs[0].folder if len(runs) == 1 else runs[0].folder.parent
    _draw(runs, folder)
    if interrupted:
        note(f"\nsaved; continue with: {proposed('resume', folder)}")
        raise SystemExit(exit_code(interrupted))
    for run in runs:
        last = run.records[-1]
        best = run.records[last.best]
        say(
            f"seed {run.config.seed}: return {best.mean_return:.4f} ± "
            f"{best.return_standard_error:.4f} after {best.decisions:,} decisions, the best; last "
            f"{last.mean_return:.4f}"
        )
    say(f"saved in {folder}; look at it with")
    say(f"  {proposed('eval', folder)}")
    say(f"  {proposed('report', folder)}")


def _line(run: LearnerRun, record: Any) -> None:
    say(
        f"{run.config.seed:>6} {record.decisions:>12,} {record.mean_return:>12.4f} "
        f"{record.return_standard_error:>10.4f} {sum(record.seconds.values()):>8.2f}"
    )


def _draw(runs: Sequence[LearnerRun], folder: Path) -> None:
    """Draws the curve of each learner that has been evaluated, and that of all seeds."""
    from psro.runs.learner_folder import PICTURE
    from psro.views import plots, returns

    begun = [run for run in runs if run.records]
    for run in begun:
        plots.save_figure(returns.figure([run]), run.folder / PICTURE)
    if len(begun) > 1:
        plots.save_figure(returns.figure(begun), folder / PICTURE)


def resume_learners(
    folders: Sequence[Any], out: str | None = None, log: Sequence[str] = ()
) -> None:
    """Continues learners that were stopped."""
    from psro.runs import learner, loggers

    loggers.check(log)
    first = learner.reopen(folders[0], out)
    train_all([first, *(learner.reopen(folder, None, first) for folder in folders[1:])], log)


def measure_learners(folders: Sequence[str], *, json: bool, episodes: int | None) -> None:
    """The mean return of fresh episodes of the best policy of each learner."""
    from psro.runs import learner

    runs, results = [], []
    for folder in folders:
        run = learner.load(folder, runs[0] if runs else None)
        runs.append(run)
        mean, error = run.evaluate(episodes or _EPISODES)
        results.append(
            {
                "folder": str(folder),
                "game": run.config.game,
                "seed": run.config.seed,
                "decisions": run.records[-1].decisions,
                "return": mean,
                "return_standard_error": error,
                "kind": "sampled",
            }
        )
    means = _means(runs, results)
    if json:
        many = {"learners": results, **means}
        print(json_format.dumps(results[0] if len(results) == 1 else many))
        return
    for result in results:
        say(
            f"{result['folder']}: return {result['return']:.4f} ± "
            f"{result['return_standard_error']:.4f} (standard error)"
        )
    if means:
        say(
            f"mean of {len(results)} seeds: return {means['return_mean']:.4f} ± "
            f"{means['return_ci95']:.4f} (95 %)"
        )


def _means(runs: Sequence[LearnerRun], results: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The mean return and half its 95 % interval over learners that differ only in their seed;
    nothing for others, or for one."""
    from psro.runs.intervals import half_interval

    shared = {json_format.dumps({**run.config.in_use(), "seed": None}) for run in runs}
    if len(runs) == 1 or len(shared) > 1:
        return {}
    values = [result["return"] for result in results]
    return {
        "return_mean": sum(values) / len(values),
        "return_ci95": half_interval(values),
    }
