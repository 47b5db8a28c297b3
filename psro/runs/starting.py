"""Runs that start from policies that there are already (`RunConfig.start_from`): those of a saved
run, or OpenSpiel's.

All policies become members of the new populations, in their order, and iteration 0 measures them.
They are written to the new run's folder when it is made, so that it never needs the source again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from games.readers import files
from games.readers.openspiel import canonical
from games.readers.openspiel_policy import behaviours_of
from games.tree import GameTree
from psro import exact
from psro.policies.form_table import FormTable
from psro.policies.guests import GUEST, GUESTS, GuestPolicy
from psro.policies.jax_settings import own_settings
from psro.policies.policy import Params, TablePolicy, Tabulator
from psro.runs.config import RunConfig
from psro.runs.kinds import is_conditional, is_tabular, is_world_model
from psro.runs.modules import import_named
from psro.runs.origin import MOST_POLICIES, Guest, Origin
from psro.runs.setup import Setup
from psro.runs.storage import ExperimentError

if TYPE_CHECKING:
    from psro.runs.experiment import Experiment

_TABLE = Guest(kind="table")
_GIVEN = "the given policies"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """Policies to start from.

    Attributes:
        name: of where they come from, for sentences.
        kinds: the kind of each member.
        members: their parameters, leaves `[P, ...]`, by `kinds`; those of OpenSpiel's policies are
            the policies themselves.
        run: the run that they come from; None for OpenSpiel's.
    """

    name: str
    kinds: list[Guest]
    members: list[Any]
    run: Experiment | None = None

    @property
    def sha256(self) -> str:
        """Checksum of the policies of a run."""
        digest = hashlib.sha256()
        for kind, member in zip(self.kinds, self.members, strict=True):
            digest.update(repr(kind).encode())
            for path, leaf in jax.tree.leaves_with_path(member):
                array = np.asarray(leaf)
                digest.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape} ".encode())
                digest.update(array.tobytes())
        return digest.hexdigest()


def source_of(
    given: str | os.PathLike | Sequence[Any] | Any, load: Callable[[Any], Experiment]
) -> Source:
    """Policies from the folder of a run, an exported file, a Python file with `policies`, a run, or
    OpenSpiel policies.

    Raises:
        ExperimentError: there are none.
    """
    if given is None:
        raise ExperimentError(
            "this config began from policies that were given in Python; give them again, as "
            "psro.run(config, start=...)"
        )
    if isinstance(given, str | os.PathLike):
        if Path(given).suffix == ".py":
            return _of_policies(_policies_in(given), os.fspath(given))
        return _of_run(load(given), os.fspath(given))
    if hasattr(given, "policy_network"):
        return _of_run(given, str(given.folder))
    return _of_policies(given, _GIVEN)


def _of_run(run: Experiment, name: str) -> Source:
    """A run's policies. Those of a guest are without the run's own network."""
    population, own = run._finished().population, _kind(run.config)
    kinds, members = [], []
    for member in population.members:
        number = int(np.asarray(member[GUEST]).flat[0]) if GUEST in member else 0
        kinds.append(run.config.origin.guests[number - 1] if number else own)
        if number:
            member = member[GUESTS][str(number - 1)]
        members.append({k: v for k, v in member.items() if k not in (GUEST, GUESTS, "seat")})
    return Source(name=name, kinds=kinds, members=members, run=run)


def _kind(config: RunConfig) -> Guest:
    """The kind of a run's own policies. Conditional networks become tables."""
    if is_tabular(config.oracle) or is_conditional(config.oracle):
        return _TABLE
    if is_world_model(config.oracle):
        model = config.dreamer
        return Guest(
            kind="world_model", cell=model.cell, hidden_size=config.hidden_size,
            dtype=config.dtype, latents=model.latents, classes=model.classes,
        )  # fmt: skip
    return Guest(
        kind="network", cell=config.cell, hidden_size=config.hidden_size, dtype=config.dtype,
        network=config.network,
    )  # fmt: skip


def _policies_in(path: str | os.PathLike) -> Any:
    """What a Python file calls `policies`."""
    module = import_named(os.fspath(path))
    if not hasattr(module, "policies"):
        raise ExperimentError(
            f"{path} has no `policies`: a list of OpenSpiel policies, each for all players"
        )
    return module.policies


def _of_policies(policies: Any, name: str) -> Source:
    policies = [policies] if hasattr(policies, "action_probabilities") else policies
    if not isinstance(policies, list | tuple) or not policies:
        raise ExperimentError(f"{name} must be a list of OpenSpiel policies, with one at least")
    for policy in policies:
        if not callable(getattr(policy, "action_probabilities", None)):
            raise ExperimentError(
                f"{name}: {type(policy).__name__} is no OpenSpiel policy, because it has no "
                "action_probabilities"
            )
    return Source(name=name, kinds=[_TABLE] * len(policies), members=list(policies))


def with_origin(config: RunConfig, source: Source) -> RunConfig:
    """The config of a run that starts from these policies. The checksum of OpenSpiel's policies is
    known only as soon as they are tables.

    Raises:
        ExperimentError: the run's networks cannot stand beside these policies.
    """
    size = len(source.members)
    if size > MOST_POLICIES:
        raise ExperimentError(f"{source.name} has {size:,} policies, more than {MOST_POLICIES:,}")
    if is_conditional(config.oracle):
        raise ExperimentError(
            f"oracle {config.oracle} trains one network for all policies; it cannot start from "
            f"those of {source.name}"
        )
    own = _kind(config)
    guests = [] if own == _TABLE else [kind for kind in source.kinds if kind != own]
    if guests and own.kind == "world_model":
        raise ExperimentError(
            f"oracle {config.oracle} starts only from policies of the same world model, and those "
            f"of {source.name} are others"
        )
    origin = Origin(
        sha256=source.sha256 if source.run is not None else "0" * 64,
        size=size,
        guests=tuple(dict.fromkeys(guests)),
    )
    return dataclasses.replace(config, origin=origin)


@own_settings()
def members_of(source: Source, setup: Setup, wanted: Origin | None) -> tuple[list[Params], Origin]:
    """The first members of a run's populations, leaves `[P, ...]`; and the run's origin, with their
    checksum. `wanted` is the origin that the run is to have, if it is known.

    Raises:
        ExperimentError: the policies are of another game, or cannot be measured in this run.
    """
    name, policies, origin = source.name, source.members, setup.config.origin
    if source.run is not None:
        _check_game(source.run, setup, name)
    elif setup.tree is None:
        raise ExperimentError(
            f"{name} has OpenSpiel policies, which become tables; they need a game that is "
            f"enumerated, and {setup.config.game} is not"
        )
    else:
        tables = TablePolicy(setup.tree)
        policies = [_tabular(setup.tree, behaviours_of(setup.tree, p), tables) for p in policies]
        made = dataclasses.replace(source, members=policies)
        origin = dataclasses.replace(origin, sha256=made.sha256)
    if wanted is not None and wanted.sha256 != origin.sha256:
        raise ExperimentError(
            f"the policies of {name} are not those that this config began from "
            f"({origin.sha256[:12]}, not {wanted.sha256[:12]}); leave out its origin to start from "
            "them"
        )
    if is_tabular(setup.config.oracle):
        return [_as_table(source, n, p, setup) for n, p in enumerate(policies)], origin
    if not isinstance(setup.policy, GuestPolicy):
        return [jax.tree.map(np.asarray, member) for member in policies], origin
    keys = jax.random.split(jax.random.key(0), setup.rules.num_players)
    fresh = jax.device_get(setup.policy.init_many(keys))
    members = []
    for number, (kind, member) in enumerate(zip(source.kinds, policies, strict=True)):
        if kind == _TABLE and source.run is not None:
            member = _as_table(source, number, member, setup)
        guests = origin.guests
        place = guests.index(kind) + 1 if kind in guests else 0
        members.append(jax.device_get(setup.policy.as_member(fresh, place, member)))
    return members, origin


def _check_game(run: Experiment, setup: Setup, name: str) -> None:
    """Raises ExperimentError if a run's game is not the one of a new run, or is seen otherwise."""
    theirs, own = run.setup, setup
    told = f"{name} holds policies of {run.config.game}"
    if theirs.rules.num_players != own.rules.num_players:
        raise ExperimentError(
            f"{told}, for {theirs.rules.num_players} players, and {own.config.game} is for "
            f"{own.rules.num_players}"
        )
    if not _is_same_game(theirs, own):
        raise ExperimentError(f"{told}, which is not the game {own.config.game}")
    if theirs.config.symmetric != own.config.symmetric:
        raise ExperimentError(
            f"{told}, {'' if theirs.config.symmetric else 'not '}shared by all players; "
            f"{'add' if theirs.config.symmetric else 'leave out'} --symmetric"
        )
    tables = is_tabular(theirs.config.oracle) or is_tabular(own.config.oracle)
    if not tables and theirs.game.observation_space != own.game.observation_space:
        raise ExperimentError(
            f"{told} as {theirs.config.observation or 'usual'} observations, and this run sees "
            f"others; use --observation as there"
        )
    if is_tabular(theirs.config.oracle) and own.form is None:
        raise ExperimentError(
            f"{told} that are tables, which need exact evaluation, and this run's is sampled"
        )


def _is_same_game(one: Setup, other: Setup) -> bool:
    if one.form is not None and other.form is not None:
        return _fingerprint(one) == _fingerprint(other)
    names = [setup.source for setup in (one, other)]
    if all(map(files.is_file, names)):
        return files.digest(names[0]) == files.digest(names[1])
    return canonical(one.config.game) == canonical(other.config.game)


def _fingerprint(setup: Setup) -> str:
    """A digest of the info states of a game, and of its returns if it is enumerated."""
    digest, tree = hashlib.sha256(), setup.tree
    arrays = [a for own in setup.form.players for a in (own.parent, own.first_sequence, own.action)]
    if tree is not None:
        arrays += [tree.decision_player, tree.decision_info_state, tree.outcome_node]
        arrays += [tree.outcome_probability, tree.terminal_returns]
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest() + ("" if tree is not None else canonical(setup.config.game))


def _tabular(tree: GameTree, behaviours: Sequence[np.ndarray], policy: TablePolicy) -> Params:
    """The tables of every player's behaviour `[S_p]`, leaves `[P, W, A]`."""
    plans = [
        exact.realization_plan(own, behaviour)
        for own, behaviour in zip(tree.players, behaviours, strict=True)
    ]
    return _of_plans(tree, plans, policy)


def _of_plans(form: Any, plans: Sequence[np.ndarray], policy: TablePolicy | FormTable) -> Params:
    tables = [policy.from_plan(form, p, plan) for p, plan in enumerate(plans)]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *tables)


def _as_table(source: Source, number: int, member: Params, setup: Setup) -> Params:
    """A member as tables of the new run's game."""
    tree, run = setup.tree, source.run
    if run is None:
        return member
    if tree is None:
        if setup.form is None:
            raise ExperimentError(
                f"the policies of {source.name} cannot become tables: {setup.config.game} is "
                "measured by episodes"
            )
        whole = run._finished().population.policies(number)
        players = range(setup.rules.num_players)
        plans = []
        for p in players:
            (own,) = run.setup.tabulate(
                jax.tree.map(lambda leaf, p=p: np.asarray(leaf)[p][None], whole),
                setup.form.players[p],
            )
            plans.append(exact.realization_plan(setup.form.players[p], own))
        return _of_plans(setup.form, plans, FormTable(setup.form))
    behaviours = Tabulator(run.policy_network, tree)(run._finished().population.policies(number))
    return _tabular(tree, behaviours, TablePolicy(tree))
