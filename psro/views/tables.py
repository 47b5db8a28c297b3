"""What `psro eval` prints: one JSON object for programs, or tables for people."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rich.box
import rich.console
import rich.markup
import rich.table
import rich.text

from games.printing import player_name, printable
from psro import exact
from psro.runs import disk
from psro.views.numbers import listed, three_digits

if TYPE_CHECKING:
    from psro.measure.comparison import Comparison
    from psro.measure.evaluation import Evaluation
    from psro.measure.sampled_evaluation import SampledEvaluation
    from psro.runs.experiment import Experiment

_FORMULA = tuple("=+-@＝＋－＠")
"""The first characters of a formula in a spreadsheet, also in wide letters."""
_SHOWN = 12  # policies a player in tables that compare them


def print_json(
    opened: Experiment, measured: Evaluation, more: Mapping[str, Any] | None = None
) -> None:
    """Everything, on one line, and `more` with it. What was not computed is null, and `omitted`
    says why."""
    mixture, population, nash = measured.mixture, measured.population, measured.nash_average
    equilibrium, elo_like = measured.equilibrium, measured.elo_like
    print(
        json.dumps(
            {
                "game": opened.config.game,
                "players": names_of(opened),
                "iteration": opened.records[-1].iteration,
                "exploitability": mixture.exploitability,
                "nash_conv": mixture.nash_conv,
                "cce_gap": measured.cce_gap,
                "ce_gap": measured.ce_gap,
                "value": mixture.value.tolist(),
                "best_response_value": mixture.best_response_value.tolist(),
                "game_value": equilibrium and equilibrium.value.tolist(),
                "game_nash_conv": equilibrium and equilibrium.nash_conv,
                "population_exploitability": population and population.measured.exploitability,
                "least_exploitable": population and lists(population.mixtures),
                "meta_strategy": lists(opened.meta_strategy),
                "policy_exploitability": [policy.exploitability for policy in measured.policies],
                "policy_worst_case": lists(measured.worst_case),
                "expected_cardinality": measured.diversity.tolist(),
                "rating": lists(elo_like.ratings),
                "rating_explains": elo_like.explained.tolist(),
                "nash_average": nash and lists(nash.ratings),
                "nash_average_strategy": nash and lists(nash.strategies),
                "payoffs": opened.payoffs.tolist(),
                "omitted": list(measured.omitted),
                **(more or {}),
            }
        )
    )


def write_csv(opened: Experiment, measured: Evaluation, path: str | os.PathLike) -> None:
    """A line for each policy number: the table of policies and that of ratings."""
    columns: dict[str, Any] = {
        "policy": range(len(measured.policies)),
        "exploitability": [policy.exploitability for policy in measured.policies],
    }
    for p, name in enumerate(in_columns(opened)):
        columns[f"weight_{name}"] = opened.meta_strategy[p]
        columns[f"rating_{name}"] = measured.elo_like.ratings[p]
        if measured.worst_case is not None:
            columns[f"worst_case_{name}"] = measured.worst_case[p]
        if measured.nash_average:
            columns[f"nash_average_{name}"] = measured.nash_average.ratings[p]
    write_columns(columns, path)


def print_comparison(compared: Comparison, out: rich.console.Console, game: str) -> None:
    """The returns of each contender against each other one, on average over the seats."""
    out.print(title(game))
    unit = max(1e-300, np.abs(compared.returns).max())
    numbers = range(1, len(compared.names) + 1)
    rows = table("", "exploitability", *(f"against {number}" for number in numbers))
    for number, name in enumerate(compared.names):
        own = three_digits(compared.measured[number].exploitability, unit=unit)
        cells = (three_digits(gets, unit=unit, sign=True) for gets in compared.average[number])
        rows.add_row(f"{number + 1} {rich.markup.escape(printable(name))}", own, *cells)
    out.print(rows)
    out.print(
        "Mean returns over the seats, if the opponent has all other seats; --json and --csv show "
        "each seat",
        highlight=False,
    )
    print_notes(out, compared.omitted)


def print_comparison_json(compared: Comparison, game: str) -> None:
    """Everything, on one line: `returns[p][i][j]` is what i gets in seat p against j."""
    print(
        json.dumps(
            {
                "game": game,
                "names": list(compared.names),
                "exploitability": [mixture.exploitability for mixture in compared.measured],
                "nash_conv": [mixture.nash_conv for mixture in compared.measured],
                "average": compared.average.tolist(),
                "returns": compared.returns.tolist(),
                "omitted": list(compared.omitted),
            }
        )
    )


def write_comparison_csv(
    compared: Comparison, seats: Sequence[str], path: str | os.PathLike
) -> None:
    """A line for each contender: its exploitability, and against each other one what it gets on
    average and in each of the `seats`, see `in_columns`."""
    columns: dict[str, Any] = {
        "name": compared.names,
        "exploitability": [mixture.exploitability for mixture in compared.measured],
        "nash_conv": [mixture.nash_conv for mixture in compared.measured],
    }
    for number, name in enumerate(compared.names):
        columns[f"against {name}"] = compared.average[:, number]
        for seat, of_seat in zip(seats, compared.returns, strict=True):
            columns[f"against {name}, seat {seat}"] = of_seat[:, number]
    write_columns(columns, path)


def write_columns(columns: Mapping[str, Any], path: str | os.PathLike) -> None:
    """Columns of equal length as a CSV file. A spreadsheet does not compute any text in it."""
    import pandas as pd  # here, not above: it takes a third of a second

    cells = {
        _inert(name): [_inert(cell) if isinstance(cell, str) else cell for cell in column]
        for name, column in columns.items()
    }
    with disk.writing(Path(path)):
        disk.write(Path(path), pd.DataFrame(cells).to_csv(index=False))


def _inert(text: str) -> str:
    """A text that a spreadsheet does not compute: if it begins like a formula, it gets an
    apostrophe in front."""
    text = printable(text)
    return f"'{text}" if text.lstrip(" '")[:1] in _FORMULA else text


def print_tables(opened: Experiment, measured: Evaluation, out: rich.console.Console) -> None:
    """Prints the results as tables for a terminal."""
    last = opened.records[-1]
    out.print(title(opened.config.game).append(f"  iteration {last.iteration}", "not bold"))
    shown, which = most_weight(opened)
    _print_mixtures(out, opened, measured)
    _print_policies(out, opened, measured)
    print_ratings(out, opened, measured, shown, which)
    print_payoffs(out, opened, shown, which)
    print_notes(out, measured.omitted)


def _print_mixtures(out: rich.console.Console, opened: Experiment, measured: Evaluation) -> None:
    """The meta-strategy beside the best mixture of the populations and the game itself."""
    mixture, population, equilibrium = measured.mixture, measured.population, measured.equilibrium
    unit = opened.rules.max_return
    rows = table("", "exploitability", "NashConv", *columns_of("value", opened))
    rows.add_row("mixture", *_measured_cells(mixture, unit))
    if population:
        rows.add_row("least exploitable", *_measured_cells(population.measured, unit))
    if equilibrium:
        rows.add_row("game", "", "", *signed(equilibrium.value, unit))
    out.print(rows)
    if not (measured.cce_gap == measured.ce_gap == mixture.nash_conv):
        out.print(
            f"Policies are drawn together: CCE gap {three_digits(measured.cce_gap, unit=unit)}, "
            f"CE gap {three_digits(measured.ce_gap, unit=unit)} "
            "(0: no player gains by ignoring its recommendations before or after it sees them)",
            highlight=False,
        )
    if equilibrium:
        distance = mixture.value[0] - equilibrium.value[0]
        out.print(
            "The mixture's value equals the game's"
            if abs(distance) < 1e-6 * unit
            else f"The mixture's value is {three_digits(abs(distance))} "
            f"{'above' if distance > 0 else 'below'} the game's for {opened.tree.player_name(0)}",
            highlight=False,
            markup=False,
        )


def player_columns(what: str, names: Sequence[str] | None, num_players: int) -> list[str]:
    """A column's title for each player: `value 0`, or `value Alice`."""
    return [rich.markup.escape(f"{what} {name}") for name in names or range(num_players)]


def names_of(opened: Experiment) -> tuple[str, ...] | None:
    """The players' names in the game's file; None if it has none."""
    return None if opened.tree is None else opened.tree.player_names


def in_columns(opened: Experiment) -> list[str]:
    """The players in titles of a CSV file's columns: by the names in the game's file, else by their
    seats."""
    return list(names_of(opened) or map(str, range(opened.rules.num_players)))


def columns_of(what: str, opened: Experiment) -> list[str]:
    """A column's title for each player."""
    return player_columns(what, names_of(opened), opened.rules.num_players)


def _measured_cells(measured: exact.Exploitability, unit: float) -> list[str]:
    return [
        three_digits(measured.exploitability, unit=unit),
        three_digits(measured.nash_conv, unit=unit),
        *signed(measured.value, unit),
    ]


def signed(values: Iterable[float], unit: float) -> list[str]:
    """Cells of numbers with their signs."""
    return [three_digits(value, unit=unit, sign=True) for value in values]


def _print_policies(out: rich.console.Console, opened: Experiment, measured: Evaluation) -> None:
    worst_case, unit = measured.worst_case, opened.rules.max_return
    rows = table(
        "policy",
        "exploitability",
        *columns_of("weight", opened),
        *(columns_of("worst case", opened) if worst_case is not None else ()),
    )
    for k, own in enumerate(measured.policies):
        weights = (weight_cell(strategy[k]) for strategy in opened.meta_strategy)
        cells = [] if worst_case is None else signed(worst_case[:, k], unit)
        rows.add_row(str(k), three_digits(own.exploitability, unit=unit), *weights, *cells)
    worst = ", and each player's worst case with it" if worst_case is not None else ""
    out.print(f"\nPolicies: the exploitability if all players use number k{worst}")
    out.print(rows)


def print_ratings(
    out: rich.console.Console,
    opened: Experiment,
    measured: Evaluation | SampledEvaluation,
    shown: Iterable[int],
    which: str,
) -> None:
    """Prints how the policies numbered `shown` compare; `which` says which these are."""
    elo_like, nash = measured.elo_like, measured.nash_average
    titles = [columns_of(what, opened) for what in ("rating", "Nash average", "its weight")]
    columns = {}  # title -> a cell for each policy
    for p, ratings in enumerate(elo_like.ratings):
        rating, average, weight = (by_player[p] for by_player in titles)
        columns[rating] = signed(ratings, opened.rules.max_return)
        if nash:
            columns[average] = signed(nash.ratings[p], opened.rules.max_return)
            columns[weight] = [weight_cell(share) for share in nash.strategies[p]]
    rows = table("policy", *columns)
    for k in shown:
        rows.add_row(str(k), *(cells[k] for cells in columns.values()))
    averaged = (
        "; Nash average: payoff against the meta-game's Nash with most entropy" if nash else ""
    )
    out.print(f"\nRatings: mean payoff minus the mean of all{which}{averaged}")
    out.print(rows)
    explained = listed(f"{share:.0%}" for share in elo_like.explained)
    cardinality = listed(map(three_digits, measured.diversity))
    out.print(
        f"Ratings explain {explained} of the payoffs' variance; the rest is cyclic\n"
        f"Effective diversity: {cardinality} of {opened.meta_game.size} policies (expected "
        "cardinality)",
        highlight=False,
    )


def print_payoffs(
    out: rich.console.Console, opened: Experiment, shown: Iterable[int], which: str
) -> None:
    """Prints the payoffs between the policies numbered `shown`."""
    if opened.rules.num_players != 2:
        out.print(f"\nPayoffs: {opened.payoffs.shape}, in full with --json")
        return
    rows, columns = (player_name(names_of(opened), p) for p in range(2))
    out.print(f"\nPayoffs of {rows} (rows) against {columns} (columns){which}", markup=False)
    rows = table("", *map(str, shown))
    for k in shown:
        earned = opened.payoffs[0, k, list(shown)]
        rows.add_row(str(k), *signed(earned, opened.rules.max_return))
    out.print(rows)


def most_weight(opened: Experiment) -> tuple[list[int], str]:
    """Numbers of the policies that tables compare, and which these are, in words."""
    size = opened.meta_game.size
    if size <= _SHOWN:
        return list(range(size)), ""
    weight = sum(opened.meta_strategy)
    shown = sorted(np.argsort(-weight, kind="stable")[:_SHOWN].tolist())
    return shown, f" (the {_SHOWN} with most weight)"


def weight_cell(weight: float) -> str:
    """A cell of a probability; a dot where it is as good as zero."""
    return three_digits(weight) if weight >= 5e-5 else "[dim]·[/dim]"


def title(game: str) -> rich.text.Text:
    """A game's name as plain text, because it may come from a stranger."""
    return rich.text.Text(printable(game), style="bold", end="\n")


def lists(arrays: Iterable[np.ndarray] | None) -> list[list[float]] | None:
    """Arrays for JSON."""
    return None if arrays is None else [array.tolist() for array in arrays]


def table(*columns: str) -> rich.table.Table:
    """An empty table, its first column of labels and the others of numbers."""
    result = rich.table.Table(box=rich.box.SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        result.add_column(column, justify="right" if number else "left")
    return result


class _Console(rich.console.Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # for the command's `main`; rich's own exit code would be 1


def print_notes(out: rich.console.Console, sentences: Iterable[str]) -> None:
    """What was not measured, or not as trained: a line for each sentence."""
    for sentence in sentences:
        out.print(f"note: {printable(sentence)}", highlight=False, markup=False)


def console() -> rich.console.Console:
    """A console for tables. Into a pipe or a file, it is as wide as the tables need. Names such as
    `:bomb:.csv` do not become pictures."""
    piped = not sys.stdout.isatty()
    return _Console(width=200 if piped else None, soft_wrap=piped, emoji=False)
