"""`psro train ENV`: one learner alone; and the other commands for its folders."""

from __future__ import annotations

import dataclasses
import json as json_format
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from psro.cli.folders import shell
from psro.cli.options import options_of, typed_options
from psro.cli.process import exit_code, note, noting_interrupts, say
from psro.runs.learner_config import LEARNERS, TABLES, LearnerConfig

if TYPE_CHECKING:
    from psro.runs.learner import LearnerRun

_TRAIN = """Train one learner alone, in a game for one player, and save it as an experiment folder.

ENV is the name of an environment, such as popjaxrl::RepeatPreviousEasy or gymnax::CartPole-v1.
"""
_RUN_DECIDES = ("decisions", "evaluations", "patience", "num_strata", "tabulated")
"""Settings of best responses that a learner alone does not have, or has as options of its own."""
_EPISODES = 1_024


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Made:
    """The options of `psro train` that are not settings."""

    seeds: int | None = None
    """Train N learners, with --seed and the seeds after it, each in a folder seed-N."""
    out: str | None = None
    """New folder. It must not exist. By default a folder in experiments/, named after the game, the
    learner and the time."""


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
        settings = {k: v for k, v in options_of(config).items() if k not in _RUN_DECIDES}
        kind = typed_options(f"{config.__name__}Options", list(settings.values()))
        what = f"the learner {name}" if name in LEARNERS else "the network around the cell"
        shown = Annotated[kind, arg(help=f"Settings of {what}.")]
        fields.append((name, shown, dataclasses.field()))
        values[name] = kind(**{key: defaults[key] for key in settings})
    kind = typed_options("TrainOptions", fields)
    return kind(**values)


def _train(env: str, options: Any) -> None:
    from psro.runs import learner

    values = dict(vars(options))
    made = {field.name: values.pop(field.name) for field in dataclasses.fields(_Made)}
    settings = {name: vars(v) if name in TABLES else v for name, v in values.items()}
    config = LearnerConfig.from_json({"game": env, **settings})
    if made["seeds"] is None:
        train_all([learner.create(config, made["out"])])
    else:
        train_all(learner.create_many(config, made["seeds"], made["out"]))


def train_all(runs: Sequence[LearnerRun]) -> None:
    """Trains learners side by side, shows every evaluation, then draws the curves."""
    first = runs[0].config
    say(f"{first.game}: {first.learner}, {first.cell} of {first.hidden_size}")
    say(f"{'seed':>6} {'decisions':>12} {'return':>12} {'± error':>10} {'seconds':>8}")
    for run in runs:
        for record in run.records:
            _line(run, record)
    interrupted = None
    try:
        with noting_interrupts() as interrupts:
            going = {id(run): (run, run.train()) for run in runs}
            while going:
                for key, (run, training) in list(going.items()):
                    record = next(training, None)
                    if record is None:
                        del going[key]
                        continue
                    _line(run, record)
                    if interrupts:
                        raise interrupts[0]
    except KeyboardInterrupt as error:
        interrupted = error
    for run in runs:
        if run.records:
            draw(run)
    folder = runs[0].folder if len(runs) == 1 else runs[0].folder.parent
    if interrupted:
        note(f"\nsaved; continue with: psro resume {shell([folder])}")
        raise SystemExit(exit_code(interrupted))
    for run in runs:
        last = run.records[-1]
        best = run.records[last.best]
        say(
            f"seed {run.config.seed}: return {best.mean_return:.4f} ± "
            f"{best.return_standard_error:.4f} after {best.decisions:,} decisions, the best; last "
            f"{last.mean_return:.4f}"
        )
    say(f"saved in {folder}; look at it with\n  psro eval {shell([folder])}")


def _line(run: LearnerRun, record: Any) -> None:
    say(
        f"{run.config.seed:>6} {record.decisions:>12,} {record.mean_return:>12.4f} "
        f"{record.return_standard_error:>10.4f} {sum(record.seconds.values()):>8.2f}"
    )


def draw(run: LearnerRun) -> None:
    from psro.runs.learner import PICTURE
    from psro.views import plots, returns

    plots.save_figure(returns.figure([run]), run.folder / PICTURE)


def resume_learners(folders: Sequence[Any]) -> None:
    """Continues learners that were stopped."""
    from psro.runs import learner

    first = learner.load(folders[0])
    train_all([first, *(learner.load(folder, first) for folder in folders[1:])])


def measure_learners(folders: Sequence[str], *, json: bool, episodes: int | None) -> None:
    """The mean return of fresh episodes of the best policy of each learner."""
    from psro.runs import learner

    first, results = None, []
    for folder in folders:
        run = learner.load(folder, first)
        first = first or run
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
    if json:
        print(json_format.dumps(results[0] if len(results) == 1 else {"learners": results}))
        return
    for result in results:
        say(
            f"{result['folder']}: return {result['return']:.4f} ± "
            f"{result['return_standard_error']:.4f} (standard error)"
        )
