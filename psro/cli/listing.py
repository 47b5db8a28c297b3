"""`psro games`, `psro variants` and `psro zoo`."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

import games
from psro.cli.arguments import GameNames, MaybeName, MaybeOne, Number, explained
from psro.cli.folders import proposed, shell
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
    """List games with their sizes, the ways to play them, and what a run costs.

    Args:
        names: OpenSpiel game strings, game files, or other libraries' environments. By default a
            list of games for beginners, and some that are too large to enumerate.
        observation: information_state or observation, as in `psro run`.
        max_histories: Do not enumerate a game with more histories.
    """
    rows: list[list[str]] = []
    notes, refused, played, forms = [], [], [], []
    for name in names or games.GAMES:
        try:
            tree = games.load(name, observation=observation, max_histories=max_histories)
        except games.GameError as error:
            try:
                if max_histories < 1:
                    raise error
                played.append(_played(name, observation, error))
                forms += _forms(name, observation)
            except games.GameError:
                if len(names) == 1:
                    raise error from None
                refused.append(str(error))
        else:
            rows.append(_row(name, tree, explained=not names))
            notes += tree.notes()
            if names:
                notes.append(f"{one_line(name)} is enumerated, and played by {_ways(name, tree)}")
    if rows:
        _print_games(rows, notes)
    if played:
        _print_played(played)
        for sentence in forms:
            say(sentence)
    if not names:
        _print_large()
    if rows or played:
        say(f"next: {proposed('run', '--game', names[0] if len(names) == 1 else 'NAME')}")
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


def _print_games(rows: list[list[str]], notes: list[str]) -> None:
    """Prints the sizes of games that are enumerated, and notes."""
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


def _played(name: str, observation: str | None, refusal: games.GameError) -> list[str]:
    """The sizes of a game that is not enumerated, how it is played, and how fast: measured now.
    Raises GameError if it cannot be played."""
    from rich.markup import escape

    from games.readers.opening import open_game
    from games.speed import seconds_per_decision

    game = open_game(name, evaluation="sampled", observation=observation, max_histories=1).game
    estimate = re.search(r"estimate (.*?) in all", str(refusal))
    return [
        escape(one_line(name)),
        str(game.num_players),
        estimate[1] if estimate else "not known",
        f"{game.num_actions:,}",
        f"{game.observation_size:,}",
        f"{game.max_length:,}",
        _ways(name),
        f"{1e6 * seconds_per_decision(game):.2g} s",
    ]


def _forms(name: str, observation: str | None) -> list[str]:
    """A sentence on the exact form of a game that is not enumerated; none if it has none."""
    from games.forms import beyond_trees, cost
    from psro.views.numbers import three_digits

    try:
        form = beyond_trees(name, observation=observation)
    except games.GameError as error:  # too little memory, for example
        return [one_line(str(error))]
    if form is None:
        return []
    counts = " + ".join(f"{player.num_info_states:,}" for player in form.players)
    memory, seconds = cost(form)
    return [
        f"{one_line(name)} has an exact form ({type(form).__name__}): {form.num_histories:,} "
        f"histories, {counts} info states, {memory / 1e9:.1f} GB and about {three_digits(seconds)} "
        f"CPU seconds for a pass that gives all gains. psro run and psro eval uniform --game "
        f"{shell([name])} use it.",
    ]


def _ways(name: str, tree: games.GameTree | None = None) -> str:
    """What plays a game, as `--backend` names it; the first is the default."""
    if "::" in name:
        return "its library"
    from games.hosted.openspiel import hosted_game
    from games.native import native_game

    ways = [] if tree is None else ["tree"]
    for way, opens in (("native", native_game), ("openspiel", hosted_game)):
        with contextlib.suppress(games.GameError):
            opens(name)
            ways.append(way)
    return ", ".join(ways)


def _print_played(rows: list[list[str]]) -> None:
    from psro.views import tables

    table = tables.table(
        "game", "players", "histories", "actions", "inputs", "longest", "played by", "10⁶ decisions"
    )
    for row in rows:
        table.add_row(*row)
    console = tables.console()
    console.print(table)
    for sentence in (
        "Not enumerated: best responses train by episodes. Histories are estimates.",
        "longest: the most decisions of all players together; a longer episode is cut off",
        "played by: see psro run --backend; native rules are in JAX, openspiel is on the host",
        "10⁶ decisions: processor time of random play, measured now. It is the rules' part: "
        "networks and learning add to it.",
    ):
        console.print(sentence, highlight=False)


def _print_large() -> None:
    from psro.views import tables

    console = tables.console()
    console.print("\nToo large to enumerate, trained by episodes (psro games NAME tells more):")
    for name, what in games.LARGE_GAMES.items():
        console.print(f"  {name}  [dim]{what}[/dim]", highlight=False)
    console.print("Any OpenSpiel game string works: psro games 'leduc_poker(players=3)',")
    console.print("and files of games: .efg and .nfg of Gambit, payoffs in .csv, .npy or .npz")


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


@explained
def list_zoo(name: MaybeOne = None) -> None:
    """List the trained populations that come with psro. Every command takes zoo:NAME in place of a
    folder.

    Args:
        name: Show the card of one of them: how it was made, and what it is worth. By default all
            are listed.
    """
    from psro.runs import zoo
    from psro.views import tables
    from psro.views.numbers import three_digits

    console = tables.console()
    if name is not None:
        card = zoo.card(name)
        rows = tables.table("", "")
        for column in rows.columns:
            column.justify = "left"
        rows.add_row("game", card.game)
        rows.add_row("what", card.about)
        rows.add_row("exploitability", f"{three_digits(card.exploitability)}, exact")
        rows.add_row("policies", f"{card.policies} of each player")
        rows.add_row("size", f"{card.file.stat().st_size / 1000:.0f} kB")
        rows.add_row("made by", f"{card.command}  ({card.cpu_seconds} CPU seconds)")
        console.print(rows)
        say(f"next: psro play {zoo.PREFIX}{card.name} --web, or psro eval {zoo.PREFIX}{card.name}")
        return
    rows = tables.table("name", "game", "exploitability", "policies", "kB")
    for column in rows.columns[:2]:
        column.justify = "left"
    for card in zoo.cards().values():
        rows.add_row(
            f"{zoo.PREFIX}{card.name}",
            f"{card.game}\n[dim]{card.about}[/dim]",
            three_digits(card.exploitability),
            str(card.policies),
            f"{card.file.stat().st_size / 1000:.0f}",
        )
    console.print(rows)
    say(f"next: psro zoo NAME, or psro play {zoo.PREFIX}{next(iter(zoo.cards()))} --web")
