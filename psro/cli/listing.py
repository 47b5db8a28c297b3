"""`psro games` and `psro variants`."""

from __future__ import annotations

from collections.abc import Mapping
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
    """List games with their sizes.

    Args:
        names: OpenSpiel game strings or game files. By default some games to start with.
        observation: information_state or observation, as in `psro run`.
        max_histories: Refuse to enumerate a game with more histories.
    """
    trees, refused = {}, {}
    for name in names or games.GAMES:
        try:
            trees[name] = games.load(name, observation=observation, max_histories=max_histories)
        except games.GameError as error:
            if len(names) == 1:
                raise
            refused[name] = str(error)
    if trees:
        _print_games(trees, explained=not names)
    for sentence in refused.values():
        complain(one_line(sentence))
    if refused:
        raise SystemExit(2)


def _print_games(trees: Mapping[str, games.GameTree], explained: bool) -> None:
    """A row a game, and what there is to note. Where they are those of `games.GAMES`, they are
    `explained`."""
    from rich.markup import escape

    from psro.views import tables

    table = tables.table(
        "game", "players", "histories", "terminals", "info states", "actions", "inputs"
    )
    notes = []
    for name, tree in trees.items():
        label = escape(name)
        if explained:
            label = f"{label}\n[dim]{games.GAMES[name]}[/dim]"
        table.add_row(
            label,
            str(tree.num_players),
            f"{tree.num_histories:,}",
            f"{tree.num_terminals:,}",
            " + ".join(f"{player.num_info_states:,}" for player in tree.players),
            str(tree.num_actions),
            str(tree.observation_size),
        )
        notes += tree.notes()
    console = tables.console()
    console.print(table)
    _print_notes(console, notes)
    if explained:
        console.print("Any OpenSpiel game string works: psro games 'leduc_poker(players=3)',")
        console.print("and files of games: .efg and .nfg of Gambit, payoffs in .csv, .npy or .npz")
    say("next: psro run --game NAME")


def _print_notes(console: rich.console.Console, notes: list[str]) -> None:
    for note in notes:
        console.print(f"note: {note}", highlight=False, markup=False)


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
    console.print(f"Where a variant other than {DEFAULT} does not say otherwise: {settings}")
    console.print("Each setting can be set alone: psro run --variant apsro --rounds 20")
    say("next: psro run --variant NAME")
