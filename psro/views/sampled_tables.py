"""What `psro eval` prints of figures that are measured by episodes: each with its error, and lower
bounds with that name."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import rich.console
import rich.markup

from games.printing import player_name, printable
from psro.measure.calibration import Calibrated
from psro.measure.cross_play import CrossPlay
from psro.measure.exploiter import Exploitation, Exploiter
from psro.measure.on_form import MeasuredOnForm
from psro.measure.sampled_evaluation import SampledEvaluation
from psro.runs.experiment import Experiment
from psro.training.record import QUANTILE
from psro.views import tables
from psro.views.numbers import listed, percent, three_digits


def print_tables(
    opened: Experiment, measured: SampledEvaluation, out: rich.console.Console
) -> None:
    """Prints the results as tables for a terminal."""
    last, unit = opened.records[-1], opened.rules.max_return
    title = tables.title(opened.config.game)
    out.print(title.append(f"  iteration {last.iteration}, measured by episodes", "not bold"))
    rows = tables.table("", "value", "standard error", "95 % interval")
    for p, (value, error) in enumerate(zip(measured.value, measured.value_error, strict=True)):
        name = rich.markup.escape(player_name(tables.names_of(opened), p))
        rows.add_row(name, *_value_cells(value, error, unit))
    out.print(rows)
    low, high = (three_digits(end, unit=unit) for end in measured.regret_interval)
    lines = [
        f"Regret within the meta-game: {three_digits(measured.regret, unit=unit)}, 95 % interval "
        f"{low} to {high}",
        f"Support: {listed(map(str, last.support_size))} of {last.size} policies; "
        f"{last.payoff_episodes:,} episodes of {opened.meta_game.payoffs[0].size:,} profiles",
    ]
    if measured.bound is not None:
        lines.append(
            f"Exploitability of iteration {measured.bound_iteration}'s mixture: at least "
            f"{_with_error(*measured.bound, unit)} (lower bound ± standard error, by the next best "
            "responses)"
        )
    out.print("\n".join(lines), highlight=False)
    _print_weights(out, opened)
    shown, which = tables.most_weight(opened)
    out.print("\nThe following is computed from the mean payoffs of the episodes", end="")
    tables.print_ratings(out, opened, measured, shown, which)
    tables.print_payoffs(out, opened, shown, which)
    tables.print_notes(out, measured.omitted)


def _print_weights(out: rich.console.Console, opened: Experiment) -> None:
    shown, which = tables.most_weight(opened)
    rows = tables.table("policy", *tables.columns_of("weight", opened))
    for k in shown:
        rows.add_row(str(k), *(tables.weight_cell(own[k]) for own in opened.meta_strategy))
    out.print(f"\nThe mixture of the policies{which}")
    out.print(rows)


def print_json(
    opened: Experiment, measured: SampledEvaluation, more: dict[str, Any] | None = None
) -> None:
    """Everything, on one line, and `more` with it. What was not computed is null, and `omitted`
    says why."""
    last, meta_game, nash = opened.records[-1], opened.meta_game, measured.nash_average
    bound, error = measured.bound or (None, None)
    print(
        json.dumps(
            {
                "game": opened.config.game,
                "iteration": last.iteration,
                "kind": "sampled",
                "exploitability": None,
                "nash_conv": None,
                "value": measured.value.tolist(),
                "value_standard_error": measured.value_error.tolist(),
                "value_ci95": (QUANTILE * measured.value_error).tolist(),
                "meta_regret": measured.regret,
                "meta_regret_interval": list(measured.regret_interval),
                "exploitability_lower_bound": bound,
                "exploitability_lower_bound_standard_error": error,
                "exploitability_lower_bound_iteration": bound and measured.bound_iteration,
                "size": last.size,
                "support_size": list(last.support_size),
                "payoff_episodes": last.payoff_episodes,
                "meta_strategy": tables.lists(opened.meta_strategy),
                "expected_cardinality": measured.diversity.tolist(),
                "rating": tables.lists(measured.elo_like.ratings),
                "rating_explains": measured.elo_like.explained.tolist(),
                "nash_average": nash and tables.lists(nash.ratings),
                "nash_average_strategy": nash and tables.lists(nash.strategies),
                "payoffs": meta_game.payoffs.tolist(),
                "payoffs_standard_error": meta_game.standard_error.tolist(),
                "episodes": meta_game.episodes.tolist(),
                "omitted": list(measured.omitted),
                **(more or {}),
            }
        )
    )


def print_on_form(opened: Experiment, exactly: MeasuredOnForm, out: rich.console.Console) -> None:
    """Prints what the mixture is worth exactly."""
    unit, form, distance = opened.rules.max_return, exactly.form, exactly.distance
    rows = tables.table("", "exact value", "best response")
    for p, (value, best) in enumerate(
        zip(distance.value, distance.best_response_value, strict=True)
    ):
        name = rich.markup.escape(player_name(tables.names_of(opened), p))
        cells = (three_digits(number, unit=unit, sign=True) for number in (value, best))
        rows.add_row(name, *cells)
    out.print(f"\nThe mixture on all {form.num_info_states:,} info states")
    out.print(rows)
    out.print(
        f"exploitability {three_digits(distance.exploitability, unit=unit)}, NashConv "
        f"{three_digits(distance.nash_conv, unit=unit)} ({_exactness(exactly)}); "
        f"{sum(exactly.seconds.values()):.0f} processor seconds",
        highlight=False,
    )
    if opened.joint is not None:
        out.print("It is that of players who draw their policies independently", highlight=False)


def _exactness(exactly: MeasuredOnForm) -> str:
    return f"exploitability certain to {exactly.error:g}" if exactly.error else "exact"


def on_form_json(exactly: MeasuredOnForm) -> dict[str, Any]:
    """What `psro eval --json --exact` has instead of nulls, and beside them."""
    distance, form = exactly.distance, exactly.form
    return {
        "exploitability": distance.exploitability,
        "exploitability_kind": "exact",
        "exploitability_error": exactly.error,
        "nash_conv": distance.nash_conv,
        "exact_value": distance.value.tolist(),
        "best_response_value": distance.best_response_value.tolist(),
        "info_states": form.num_info_states,
        "histories": form.num_histories,
        "seconds": exactly.seconds,
    }


def write_csv(opened: Experiment, measured: SampledEvaluation, path: str | os.PathLike) -> None:
    """A line for each policy number: its weights and its ratings by the mean payoffs."""
    columns: dict[str, Any] = {"policy": range(opened.meta_game.size)}
    for p, name in enumerate(tables.in_columns(opened)):
        columns[f"weight_{name}"] = opened.meta_strategy[p]
        columns[f"rating_{name}"] = measured.elo_like.ratings[p]
        if measured.nash_average:
            columns[f"nash_average_{name}"] = measured.nash_average.ratings[p]
    tables.write_columns(columns, path)


def print_cross_play(played: CrossPlay, out: rich.console.Console, game: str) -> None:
    """The mean returns of each contender against each other one, with 95 % intervals."""
    out.print(tables.title(game))
    unit = max(1e-300, np.abs(played.returns).max())
    numbers = range(1, len(played.names) + 1)
    rows = tables.table("", *(f"against {number}" for number in numbers))
    for number, name in enumerate(played.names):
        cells = (
            f"{three_digits(mean, unit=unit, sign=True)} ± "
            f"{three_digits(QUANTILE * error, unit=unit)}"
            for mean, error in zip(
                played.average[number], played.average_error[number], strict=True
            )
        )
        rows.add_row(f"{number + 1} {rich.markup.escape(printable(name))}", *cells)
    out.print(rows)
    out.print(
        f"Mean returns over the seats ± 95 %, if the opponent has all other seats, by "
        f"{played.episodes:,} episodes for each seat; --json and --csv show each seat",
        highlight=False,
    )
    tables.print_notes(out, played.omitted)


def print_cross_play_json(played: CrossPlay, game: str) -> None:
    """Everything, on one line: `returns[p][i][j]` is what i gets in seat p against j."""
    print(
        json.dumps(
            {
                "game": game,
                "kind": "sampled",
                "names": list(played.names),
                "average": played.average.tolist(),
                "average_standard_error": played.average_error.tolist(),
                "average_ci95": (QUANTILE * played.average_error).tolist(),
                "returns": played.returns.tolist(),
                "returns_standard_error": played.standard_error.tolist(),
                "episodes": played.episodes,
                "omitted": list(played.omitted),
            }
        )
    )


def write_cross_play_csv(played: CrossPlay, path: str | os.PathLike) -> None:
    """A line for each contender: against each other one what it gets on average and in each seat,
    with standard errors."""
    columns: dict[str, Any] = {"name": played.names}
    for number, name in enumerate(played.names):
        columns[f"against {name}"] = played.average[:, number]
        columns[f"against {name}, standard error"] = played.average_error[:, number]
        for p in range(len(played.returns)):
            columns[f"against {name}, seat {p}"] = played.returns[p, :, number]
            columns[f"against {name}, seat {p}, standard error"] = played.standard_error[
                p, :, number
            ]
    tables.write_columns(columns, path)


def print_exploitation(
    opened: Experiment,
    exploiter: Exploiter,
    found: Exploitation,
    calibrated: Sequence[Calibrated],
    out: rich.console.Console,
) -> None:
    """Prints the approximate exploitability, and what the same exploiter finds elsewhere."""
    unit = opened.rules.max_return
    out.print(
        f"\nExploiters by {exploiter.settings.name}, the best of {exploiter.restarts} for each "
        f"player; {found.decisions:,} own decisions, then {found.value.episodes:,} other episodes",
        highlight=False,
    )
    rows = tables.table("", "value", "standard error", "95 % interval", "gain")
    for p, restart in enumerate(found.restart):
        name = rich.markup.escape(player_name(tables.names_of(opened), p))
        cells = _value_cells(found.value.mean[p], found.value.standard_error[p], unit)
        gain = three_digits(found.gains[p], unit=unit, sign=True) if restart >= 0 else "none found"
        rows.add_row(name, *cells, gain)
    out.print(rows)
    out.print(
        "approximate exploitability ≥ "
        f"{_with_error(found.approximate_exploitability, found.standard_error, unit)}"
        " (lower bound ± standard error)",
        highlight=False,
    )
    if opened.joint is not None:
        out.print("It is that of players who draw their policies independently", highlight=False)
    if not calibrated:
        return
    out.print("\nWhat the same exploiters find where the exact exploitability is known")
    rows = tables.table("game", "opponents", "exact", "found ≥", "share")
    for known in calibrated:
        rows.add_row(
            known.game,
            known.population,
            three_digits(known.exploitability),
            _with_error(known.found.approximate_exploitability, known.found.standard_error, 1.0),
            f"{percent(known.share)} ± {percent(known.share_error)}",
        )
    out.print(rows)


def exploitation_json(
    exploiter: Exploiter, found: Exploitation, calibrated: Sequence[Calibrated]
) -> dict[str, Any]:
    """What `print_exploitation` prints, for JSON."""
    result: dict[str, Any] = {
        "approximate_exploitability": found.approximate_exploitability,
        "approximate_exploitability_standard_error": found.standard_error,
        "approximate_nash_conv": found.nash_conv,
        "approximate_nash_conv_standard_error": found.nash_conv_error,
        "exploiter": {
            "oracle": exploiter.settings.name,
            "decisions": found.decisions,
            "restarts": exploiter.restarts,
            "chosen": [None if restart < 0 else restart for restart in found.restart],
            "value": found.value.mean.tolist(),
            "value_standard_error": found.value.standard_error.tolist(),
            "gain": found.gains.tolist(),
            "episodes": found.value.episodes,
        },
    }
    if calibrated:
        result["calibration"] = [
            {
                "game": known.game,
                "opponents": known.population,
                "exploitability": known.exploitability,
                "approximate_exploitability": known.found.approximate_exploitability,
                "approximate_exploitability_standard_error": known.found.standard_error,
                "share": known.share,
                "share_standard_error": known.share_error,
            }
            for known in calibrated
        ]
    return result


def _value_cells(value: float, error: float, unit: float) -> list[str]:
    """A value with its sign, its standard error, and its 95 % interval."""
    low, high = tables.signed((value - QUANTILE * error, value + QUANTILE * error), unit)
    return [*tables.signed([value], unit), three_digits(error, unit=unit), f"{low} to {high}"]


def _with_error(value: float, error: float, unit: float) -> str:
    return f"{three_digits(value, unit=unit)} ± {three_digits(error, unit=unit)}"
