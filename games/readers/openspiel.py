"""A game by its name, which is OpenSpiel's string or a file, as a `GameTree`."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import math
import os
import time
from typing import TYPE_CHECKING

import pyspiel

from games.errors import MAX_HISTORIES, GameError
from games.readers import cache as tree_cache
from games.readers import files
from games.readers.assemble import assemble
from games.readers.extensive import extensive_tree
from games.readers.identity import Identity, identities
from games.readers.sources import Extensive, Named, normal_form, sentence, source_of
from games.readers.walk import ImperfectRecall, Limit, Rules, walk
from games.tree import GameTree, Source

if TYPE_CHECKING:
    from games.game import Game

OBSERVATIONS = ("information_state", "observation")
"""The tensors a policy can be given; the first that a game provides is the default."""


def load_openspiel(name: str) -> pyspiel.Game:
    """OpenSpiel's game for its string or for a file. Simultaneous moves become turns that hide what
    was chosen.

    Raises `GameError` when OpenSpiel has no such game, refuses its parameters, or when it is not
    a finite game of several players in a form that can be enumerated.
    """
    return source_of(name).openspiel()


def canonical(name: str) -> str:
    """OpenSpiel's full name of a game; of a game that it does not know, the name itself."""
    try:
        return str(load_openspiel(name))
    except GameError:
        return name


def load(
    name: str,
    *,
    observation: str | None = None,
    max_histories: int = MAX_HISTORIES,
    cache: str | os.PathLike | None = None,
) -> GameTree | Game:
    """A game by its name: an OpenSpiel game string, or a file (`games.readers.files` tells which),
    or another library's environment, `LIBRARY::NAME`, which is only played and has no tree.

    A file of payoffs becomes a `NormalForm`. Its terminals stay implicit, so it is not refused here
    for its size. Every other game is enumerated (`compile_tree`).

    Args:
        name: `"leduc_poker(players=3)"`, `"poker.efg"`, `"matrix.csv"`, `"gymnax::CartPole-v1"`.
        observation: the policy's input, one of `OBSERVATIONS`; None takes the first provided.
        max_histories: refuse to enumerate a game with more histories.
        cache: folder of compiled trees, as in `compile_tree`.

    Raises:
        GameError: the game is unknown, too large, of imperfect recall, or provides no such tensor,
            or the file is not what its ending says.
    """
    if max_histories < 1:
        raise GameError(f"max_histories = {max_histories} must be at least 1")
    if "::" in name:
        from games.hosted import environment  # here, not above: it reads games as this module does

        return environment(name, observation=observation)
    if not files.is_file(name):
        return compile_tree(name, observation=observation, max_histories=max_histories, cache=cache)
    extensive = files.is_extensive(name)
    if observation not in (None, *(OBSERVATIONS[:1] if extensive else OBSERVATIONS)):
        known = (
            "a .efg file has information_state"
            if observation in OBSERVATIONS
            else (f"known: {', '.join(OBSERVATIONS)}")
        )
        raise GameError(f"unknown observation {observation!r}; {known}")
    if not extensive:
        return normal_form(name, max_histories)
    source = Extensive(name, files.read_efg(name))
    return extensive_tree(name, source.form, source, max_histories)


def compile_tree(
    name: str,
    *,
    observation: str | None = None,
    max_histories: int = MAX_HISTORIES,
    cache: str | os.PathLike | None = None,
) -> GameTree:
    """Enumerates an OpenSpiel game into a `GameTree`, or takes it from a cache on disk.

    Info states are told apart by OpenSpiel's information state string. If that breaks perfect
    recall, the tensor is used. A game that has neither uses the player's action-observation
    history. (If a game's information states forget something, histories would make it another game
    than OpenSpiel's.)

    Args:
        name: an OpenSpiel game string, parameters included: `"leduc_poker(players=3)"`.
        observation: the policy's input, one of `OBSERVATIONS`; None takes the first provided.
        max_histories: refuse a game with more histories (chance nodes and terminals included).
        cache: folder of compiled trees; it is made if it does not exist. `""` means no cache. None
            means the folder in the environment variable `PSRO_TREE_CACHE`, or no cache if that is
            not set. A damaged tree, or one from another version of OpenSpiel, is not used. Games
            that read files, and games written in Python outside OpenSpiel, are not cached.

    Raises:
        GameError: the game is unknown, too large, of imperfect recall, or provides no such tensor.
    """
    source = Named(name)
    game = source.openspiel()
    observation = tensor_name(name, game, observation)
    folder = tree_cache.folder(cache) if _stays_the_same(game) else None
    key = {
        "game": name,
        "observation": observation,
        "open_spiel": importlib.metadata.version("open_spiel"),
    }
    tree = tree_cache.read(folder, key) if folder else None
    if tree is not None and tree.num_histories <= max_histories:
        return dataclasses.replace(tree, source=source)
    started = time.perf_counter()
    tree = _by_any_identity(name, source, observation, max_histories)
    if folder and time.perf_counter() - started >= tree_cache.LEAST_SECONDS:
        tree_cache.write(folder, key, tree)
    return tree


def _stays_the_same(game: pyspiel.Game) -> bool:
    """Whether the game's string and OpenSpiel's version determine the game."""
    made_here = type(game).__module__.split(".")[0] not in ("pyspiel", "open_spiel")
    texts = [value for value in game.get_parameters().values() if isinstance(value, str)]
    return not made_here and not any(text and os.path.exists(text) for text in texts)


def _by_any_identity(name: str, source: Source, observation: str, max_histories: int) -> GameTree:
    """The tree by the first identity that keeps perfect recall."""
    game = source.openspiel()
    ways = identities(game)
    if len(ways) > 1:
        ways.pop("history", None)
    failure = None
    for identity in ways.values():
        rules = _rules(name, game, observation, identity)
        try:
            walked = walk(rules, Limit(rules, max_histories))
        except ImperfectRecall as error:
            failure = failure or error
            continue
        except MemoryError:
            raise GameError(f"{name!r} needs more memory than there is") from None
        except (pyspiel.SpielError, RuntimeError) as error:
            raise GameError(f"OpenSpiel failed in {name!r}: {sentence(error)}") from None
        if not walked.decisions:
            raise GameError(f"nobody decides anything in {name!r}")
        return assemble(rules, walked, source)
    if failure is None:
        raise GameError(f"{name!r} provides no information state, so its tree cannot be built")
    raise GameError(
        f"{name!r} has imperfect recall: info state {failure.info_state!r} {failure.reason}"
    )


def _rules(name: str, game: pyspiel.Game, observation: str, identity: Identity) -> Rules:
    shape = getattr(game, f"{observation}_tensor_shape")()
    described = game.get_type().provides_information_state_string
    return Rules(
        name=name,
        game=game,
        observation=observation,
        observation_size=math.prod(shape),
        identity=identity,
        named_by=None
        if identity.name == "string"
        else "information_state_string"
        if described
        else "observation_string",
    )


def tensor_name(name: str, game: pyspiel.Game, wanted: str | None) -> str:
    """The tensor that is a policy's input: `wanted`, or by default the first that the game
    provides."""
    kind = game.get_type()
    provided = [tensor for tensor in OBSERVATIONS if getattr(kind, f"provides_{tensor}_tensor")]
    if wanted is None:
        if not provided:
            raise GameError(f"{name!r} provides no tensor that a policy could take as its input")
        return provided[0]
    if wanted not in OBSERVATIONS:
        raise GameError(f"unknown observation {wanted!r}; known: {', '.join(OBSERVATIONS)}")
    if wanted not in provided:
        raise GameError(
            f"{name!r} provides no {wanted} tensor; it provides {', '.join(provided) or 'none'}"
        )
    return wanted
