"""A match against a population as one page that needs no server and no other file.

The page is that of `psro play --web` (`psro.play.page`), with the game and the policies packed into
it. Its content security policy lets it load nothing.
"""

from __future__ import annotations

import base64
import hashlib
import html
import importlib.resources
import os
import re
from pathlib import Path
from typing import Any

import jax
import numpy as np

from games import GameError
from psro.measure.replay import Dealer, Unprintable
from psro.play import page as served
from psro.play import words
from psro.play.match import MatchError, made_in, par_of, seat_name
from psro.play.offline import tree as trees
from psro.play.offline.book import Pool, packed
from psro.policies.jax_settings import own_settings
from psro.runs import disk
from psro.runs.experiment import Experiment

SCRIPTS = ("tree.js", "minds.js", "offline.js", "play.js")
MAX_TABLES = 1 << 25
"""The most bytes of policies in a page."""


def page(experiment: Experiment) -> str:
    """The page of a run, as HTML.

    Raises:
        MatchError: the game is not enumerated or too large for a page, or OpenSpiel cannot print
            it.
    """
    try:
        dealer = Dealer(experiment, 0)
        data = _data(experiment, dealer)
    except (GameError, Unprintable) as error:
        raise MatchError(str(error)) from None
    return _html(experiment.config.game, data)


def write(experiment: Experiment, path: str | os.PathLike) -> Path:
    """Writes the page of a run to a new file. Raises the errors of `page`, and PsroError if the
    file cannot be written."""
    path, text = Path(path), page(experiment)
    with disk.writing(path):
        disk.write(path, text)
    return path


def _data(experiment: Experiment, dealer: Dealer) -> str:
    tree = experiment.needs_tree("a page to play on")
    support = [np.flatnonzero(own > 0) for own in experiment.meta_strategy]
    tables = _tables(experiment, support)
    pool = Pool()
    arrays = trees.arrays_of(tree, dealer, pool)
    players = [dealer.player_name(seat) for seat in range(dealer.num_players)]
    header = {
        "game": experiment.config.game,
        "players": players,
        "you": [seat_name(dealer, seat) for seat in range(dealer.num_players)],
        "rules": words.rules(experiment, dealer),
        "how": words.how(any((arrays[f"scene_board_{p}"] >= 0).any() for p in range(len(players)))),
        "par": [vars(par) for par in par_of(experiment)],
        "policies": _policies(experiment, support),
        "joint": _joint(experiment, support),
        "pool": pool.values,
    }
    return packed(header, arrays | tables)


def _policies(experiment: Experiment, support: list[np.ndarray]) -> list[list[dict[str, Any]]]:
    """Each player's policies that are ever drawn: number, iteration and weight."""
    made = made_in(experiment.records)
    return [
        [
            {
                "policy": int(k),
                "iteration": None if made is None else made[k],
                "weight": float(weights[k]),
            }
            for k in own
        ]
        for own, weights in zip(support, experiment.meta_strategy, strict=True)
    ]


def _joint(experiment: Experiment, support: list[np.ndarray]) -> dict[str, Any] | None:
    """The profiles that are drawn together, by places in the supports; None where players draw
    independently."""
    if experiment.joint is None:
        return None
    joint = experiment.joint[np.ix_(*support)]
    profiles = np.argwhere(joint > 0)
    return {"profiles": profiles.tolist(), "weights": joint[tuple(profiles.T)].tolist()}


@own_settings()
def _tables(experiment: Experiment, support: list[np.ndarray]) -> dict[str, np.ndarray]:
    """The probabilities of every player's policies at all its info states, float32 `[K, S_p]`."""
    tree = experiment.tree
    size = sum(
        4 * len(own) * player.num_sequences
        for own, player in zip(support, tree.players, strict=True)
    )
    if size > MAX_TABLES:
        raise MatchError(
            f"the policies of {experiment.config.game} take {size / 2**20:.0f} MiB as tables, and "
            f"a page holds at most {MAX_TABLES / 2**20:.0f}"
        )
    populations, tables = experiment.populations, {}
    most = max(map(len, support))
    padded = [np.resize(own, most) for own in support]
    rows = [
        experiment.setup.tabulate(
            jax.tree.map(
                lambda *leaves, k=k: np.stack(
                    [leaf[own[k]] for leaf, own in zip(leaves, padded, strict=True)]
                ),
                *populations,
            )
        )
        for k in range(most)
    ]
    for p, own in enumerate(support):
        tables[f"policies_{p}"] = np.stack([rows[k][p] for k in range(len(own))], dtype=np.float32)
    return tables


def _html(title: str, data: str) -> str:
    """The page of `psro play --web`, with its style, its scripts and its data inside."""
    style, scripts = _asset("play.css"), [_asset(name) for name in SCRIPTS]
    hashes = " ".join(map(_hash, scripts))
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src {_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    head = (
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f"<title>{html.escape(title)} – psro play</title>"
    )
    text = _asset("play.html")
    text = re.sub(r'<script src="[^"]*" defer></script>\n', "", text)
    text = text.replace("<title>psro play</title>", head)
    text = text.replace('<link rel="stylesheet" href="play.css">', f"<style>{style}</style>")
    end = f'<script id="book" type="text/plain">{data}</script>\n'
    end += "".join(f"<script>{script}</script>\n" for script in scripts)
    return text.replace("</body>", f"{end}</body>")


def _asset(name: str) -> str:
    return importlib.resources.files(served).joinpath(name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
