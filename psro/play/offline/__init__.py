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

import numpy as np

from games import GameError
from psro.measure.replay import Dealer, Unprintable
from psro.play import page as served
from psro.play import words
from psro.play.match import MatchError, made_in, par_of, seat_name, zero_sum
from psro.play.offline import tree as trees
from psro.play.offline.blind import is_blind, rules_of
from psro.play.offline.book import Pool, packed
from psro.play.offline.policies import packed_policies
from psro.runs import disk
from psro.runs.experiment import Experiment
from psro.runs.naming import game_of

SCRIPTS = ("tree.js", "blind.js", "minds.js", "offline.js", "play.js")


def page(experiment: Experiment) -> str:
    """The page of a run, as HTML.

    Raises:
        MatchError: the game or its policies are too large for a page, or OpenSpiel cannot print
            the game.
        SettingsError: the game is not enumerated, and a page has no rules of it.
    """
    try:
        dealer = Dealer(experiment, 0)
        data = _data(experiment, dealer)
    except (GameError, Unprintable) as error:
        raise MatchError(str(error)) from None
    return _html(game_of(experiment.config), data)


def write(experiment: Experiment, path: str | os.PathLike) -> Path:
    """Writes the page of a run to a new file. Raises the errors of `page`, and PsroError if the
    file cannot be written."""
    path, text = Path(path), page(experiment)
    with disk.writing(path):
        disk.write(path, text)
    return path


def _data(experiment: Experiment, dealer: Dealer) -> str:
    support = [np.flatnonzero(own > 0) for own in experiment.meta_strategy]
    seats, pool, blind = range(dealer.num_players), Pool(), None
    if experiment.tree is None and is_blind(dealer):
        blind, arrays = rules_of(experiment, dealer)
        network, policies = packed_policies(experiment, support)
    else:
        tree = experiment.needs_tree("a page to play on")
        network, policies = packed_policies(experiment, support)
        arrays = trees.arrays_of(tree, dealer, pool)
    has_board = blind is not None or any((arrays[f"scene_board_{p}"] >= 0).any() for p in seats)
    header = {
        "game": game_of(experiment.config),
        "wins": zero_sum(experiment),
        "players": [dealer.player_name(seat) for seat in seats],
        "you": [seat_name(dealer, seat) for seat in seats],
        "rules": words.rules(experiment, dealer),
        "how": words.how(has_board),
        "par": [vars(par) for par in par_of(experiment)],
        "policies": _policies(experiment, support),
        "joint": _joint(experiment, support),
        "network": network,
        "blind": blind,
        "pool": pool.values,
    }
    return packed(header, arrays | policies)


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
