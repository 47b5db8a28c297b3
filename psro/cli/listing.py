"""`psro games` and `psro variants`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import games
from psro.cli.arguments import GameNames, MaybeName, Number, explained
from psro.cli.options import typed
from psro.cli.process import complain, one_line, say
from psro.variants.published import DEFAULT, PUBLISHED, VARIANTS

if TYPE_CHECKING:
    import rich.console


@explained
def list_games(
    names: GameNames = (),
    observation: MaybeName = None,
    max_histories: Number = games.MAX_HISTORIES,
) -> None:
    """List games with their sizes, and the time and memory of a default run of each.

    Args:
        names: OpenSpiel game strings or game files. By default a list of games for beginners.
        observation: information_state or observation, as in `psro run`.
        max_histories: Refuse to enumerate a game with more histories.
    """
    rows: list[list[str]] = []
    notes, refused = [], []
    for name in names or games.GAMES:
        try:
            tree = games.load(name, observation=observation, max_histories=max_histories)
        except games.GameError as error:
            if len(names) == 1:
                raise
            refused.append(str(error))
        else:
            rows.append(_row(name, tree, explained=not names))
            notes += tree.notes()
    if rows:
        _print_games(rows, notes, explained=not names)
    for sentence in refused:
        complain(one_line(sentence))
    if refused:
        raise SystemExit(2)


def _row(name: str, tree: games.GameTree, explained: bool) -> list[str]:
    """A game's sizes. A game of `games.GAMES` is `explained`."""
    from rich.markup import escape

    from psro.measure.cost import cost_of

    label = escape(one_line(name))
    return [
        f"{label}\n[dim]{games.GAMES[name]}[/dim]" if explained else label,
        str(tree.num_players),
        f"{tree.num_histories:,}",
        f"{tree.num_terminals:,}",
        " + ".join(f"{player.num_info_states:,}" for player in tree.players),
        str(tree.num_actions),
        str(tree.observation_size),
        str(cost_of(tree)),
    ]


def _print_games(rows: list[list[str]], notes: list[str], explained: bool) -> None:
    """Prints the sizes of games, and notes."""
    from psro.measure.cost import ERROR
    from psro.views import tables

    table = tables.table(
        "game", "players", "histories", "terminals", "info states", "actions", "inputs",
        "default run",
    )  # fmt: skip
    for row in rows:
        table.add_row(*row)
    console = tables.console()
    console.print(table)
    _print_notes(console, notes)
    console.print(
        "default run: processor time and memory of psro run without options, compiling included; "
        f"within {ERROR:.0%} on the ten games that were measured",
        highlight=False,
    )
    if explained:
        console.print("Any OpenSpiel game string works: psro games 'leduc_poker(players=3)',")
        console.print("and files of games: .efg and .nfg of Gambit, payoffs in .csv, .npy or .npz")
    say("next: psro run --game NAME")


def _print_notes(console: rich.console.Console, notes: list[str]) -> None:
    for note in notes:
        console.print(f"note: {one_line(note)}", highlight=False, markup=False)


def list_variants() -> None:
    """List the variants of PSRO that `psro run --variant` knows, and what they set."""
    from psro.views import tables

    table = tables.table("variant", "settings", "source")
    for column in table.columns:
        column.justify = "left"
    for name, variant in VARIANTS.items():
        own: dict[str, Any] = {
            option: value
            for option, value in variant.settings.items()
            if PUBLISHED.get(option) != value
        }
        table.add_row(name, typed(own), variant.source)
    console = tables.console()
    console.print(table)
    settings = typed(PUBLISHED).replace("\n", " ")
    console.print(f"Variants other than {DEFAULT} have these settings by default: {settings}")
    console.print("Each setting can be set alone: psro run --variant apsro --rounds 20")
    say("next: psro run --variant NAME")
