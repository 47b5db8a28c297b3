"""The policies of an iteration, on disk.

A file holds the N policies per player that an iteration made, leaves `[P, N, ...]`, or
`[1, N, ...]` if all seats share them. It also holds their numbers in the populations, and the
marginals of the meta-strategy that was measured after the iteration. Parameters that all policies
share, such as a conditional network, are saved once, named `shared/...`, without these axes.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from psro.runs import disk, storage
from psro.runs.config import RunConfig
from psro.runs.storage import Damaged, ExperimentError
from psro.training.record import Iteration, Record

if TYPE_CHECKING:
    from psro.policies.policy import Params

POLICIES = "policies"
_SHARED = "shared/"
_SHAREABLE = "network/"
"""The parameters that policies of a `ConditionalPolicy` share once they are trained."""
_MOST_DOUBLINGS = 24
"""Most doublings of a temperature. Float32 keeps such larger or smaller logits as exactly."""


def make_folder(folder: Path) -> None:
    """Makes the folder for the policies of a new run."""
    (folder / POLICIES).mkdir()


def policy_file(folder: Path, number: int) -> Path:
    """The path of an iteration's policies."""
    return folder / POLICIES / f"{number:04d}.safetensors"


def write_policies(held: disk.Held, iteration: Iteration, num_populations: int) -> str:
    """Writes an iteration's policies, before its commit. Returns their digest for the commit."""
    import jax  # here, not above: reading the rest of a run's folder needs no JAX

    with contextlib.suppress(FileExistsError):
        os.mkdir(POLICIES, dir_fd=held.descriptor)
    stacks = storage.flatten(
        jax.tree.map(
            lambda *leaves: np.stack([leaf[:num_populations] for leaf in leaves], axis=1),
            *iteration.policies.values(),
        )
    )
    return storage.write_tensors(
        policy_file(held.path, iteration.record.iteration),
        dict(_once(name, stack) for name, stack in stacks.items()),
        {
            "slots": list(iteration.policies),
            "meta_strategy": [weights.tolist() for weights in iteration.evaluation.marginals],
        },
        held,
    )


def write_start(folder: Path, members: Sequence[Params], num_populations: int) -> None:
    """Writes the policies of iteration 0, leaves `[P, ...]`, to the folder of a new run, before the
    iteration is measured. Then they are written again, with its meta-strategy."""
    import jax

    stacks = jax.tree.map(
        lambda *leaves: np.stack([np.asarray(leaf)[:num_populations] for leaf in leaves], axis=1),
        *members,
    )
    storage.write_tensors(
        policy_file(folder, 0),
        dict(_once(name, stack) for name, stack in storage.flatten(stacks).items()),
        {"slots": list(range(len(members)))},
    )


def read_start(folder: Path, config: RunConfig, expected: Params, num_players: int) -> list[Params]:
    """The policies of `write_start`, leaves `[P, ...]`. See `restore` for `expected` and errors."""
    path = policy_file(folder, 0)
    digest = storage.read_info(path)["sha256"]
    policies = _restored(path, digest, 0, config, expected, config.begun, num_players)
    if len(policies) != config.begun:
        raise ExperimentError(f"{path} is damaged: it must hold {config.begun} policies")
    return [policies[slot] for slot in range(config.begun)]


def _once(name: str, stack: np.ndarray) -> tuple[str, np.ndarray]:
    """An array `[P, N, ...]`, without the first two axes if all policies share it."""
    first = stack[0, 0]
    if name.startswith(_SHAREABLE) and (stack == first).all():
        return _SHARED + name, first
    return name, stack


def restore(
    folder: Path,
    records: Sequence[Record],
    digests: Sequence[str],
    config: RunConfig,
    expected: Params,
) -> tuple[dict[int, Params], dict[int, Params]]:
    """All policies of a run after its last iteration, by their numbers, leaves `[P, ...]`; and the
    policies that the last iteration made.

    Args:
        folder: the run's folder.
        records: the records of its iterations.
        digests: the commit's checksums of the iterations' files.
        config: the run's config.
        expected: shapes of the parameters of one policy of each population, leaves `[P, ...]`, or
            `[1, ...]` if all seats share one population.

    Raises:
        ExperimentError: a file is missing or damaged, does not match its digest, or holds other
            networks than config.json describes.
    """
    policies: dict[int, Params] = {}
    for number, digest in enumerate(digests):
        path, size = policy_file(folder, number), records[number].size
        num_players = len(records[0].value)
        latest = _restored(path, digest, number, config, expected, size, num_players)
        policies |= latest
        if len(policies) != size:
            raise ExperimentError(f"{path} is damaged: its slots do not make {size} policies")
    return policies, latest


def _restored(
    path: Path,
    digest: str,
    number: int,
    config: RunConfig,
    expected: Params,
    size: int,
    num_players: int,
) -> dict[int, Params]:
    """The policies of iteration `number` by their numbers, leaves `[P, ...]`."""
    import jax

    room = sum(4 * math.prod(leaf.shape) for leaf in jax.tree.leaves(expected))
    num_populations = jax.tree.leaves(expected)[0].shape[0]
    seats = np.arange(num_players) % num_populations  # the population of each seat
    stacks, slots = _read(path, digest, number, config, size=size, room=room)
    shapes = jax.tree.map(lambda leaf: (leaf.shape[0], *leaf.shape[2:]), stacks)
    if shapes != jax.tree.map(lambda leaf: leaf.shape, expected):
        raise ExperimentError(f"{path} does not hold the network that config.json describes")
    return {
        slot: jax.tree.map(lambda leaf, n=n: leaf[seats, n], stacks) for n, slot in enumerate(slots)
    }


def _read(
    path: Path, digest: str, number: int, config: RunConfig, *, size: int, room: int
) -> tuple[Params, list[int]]:
    """Policies of iteration `number`, leaves `[P, N, ...]`, and their N numbers in the populations.
    The numbers must be below `size`. `room` is the most bytes for the policies of one number."""
    tensors, info = storage.read_tensors(path, lambda info: room * len(_slots(info, number, size)))
    check_named(path, info, digest)
    try:
        slots = _slots(info, number, size)
        params = storage.unflatten(_stacks(tensors, info, len(slots)))
        if info["format_version"] < 4:
            params = _with_temperature(params, number, config)
        temperature = params.get("temperature")
        if isinstance(temperature, np.ndarray) and not (temperature > 0).all():
            raise Damaged("temperature must be above 0")
    except Damaged as error:
        raise ExperimentError(f"{path} is damaged: {storage.sentence(error)}") from None
    return params, slots


def _slots(info: Mapping[str, Any], number: int, size: int) -> list[int]:
    """The numbers of an iteration's policies. Raises Damaged if they are not valid."""
    slots = info.get("slots", [number])  # formats before 3 have no slots
    if not isinstance(slots, list) or not all(
        type(slot) is int and 0 <= slot < size for slot in slots
    ):
        raise Damaged(f"slots must be numbers of policies, below {size}")
    if not 0 < len(slots) == len(set(slots)):
        raise Damaged("a slot is there twice, or there is none")
    return slots


def _stacks(
    tensors: Mapping[str, np.ndarray], info: Mapping[str, Any], count: int
) -> dict[str, np.ndarray]:
    """Parameters `[P, count, ...]` by their names. Raises Damaged if they are not valid."""
    own = {name: value for name, value in tensors.items() if not name.startswith(_SHARED)}
    if "slots" not in info:  # before format 3: one policy an iteration, and no axis for it
        own = {name: value[:, None] for name, value in own.items() if value.ndim}
    axes = next((value.shape[:2] for value in own.values()), ())
    if len(axes) < 2 or axes[1] != count:
        raise Damaged(f"it must hold {count} policies of every player")
    stacks = dict(_for_all(name, value, axes) for name, value in (tensors | own).items())
    for name, value in stacks.items():
        if value.dtype != np.float32 or not np.isfinite(value).all():
            raise Damaged(f"{name} must be finite float32 numbers")
        if value.shape[:2] != axes:
            raise Damaged(f"{name} must hold {count} policies of every player")
    return stacks


def check_named(path: Path, info: Mapping[str, Any], digest: str) -> None:
    """Raises ExperimentError if a file is not the one that the commit names."""
    if info["sha256"] != digest:
        raise ExperimentError(f"{path} is damaged: it is not the file that the commit names")


def _for_all(name: str, value: np.ndarray, axes: tuple[int, int]) -> tuple[str, np.ndarray]:
    """The inverse of `_once`: a view, which takes no memory of its own."""
    if not name.startswith(_SHARED):
        return name, value
    return name.removeprefix(_SHARED), np.broadcast_to(value, (*axes, *value.shape))


def _with_temperature(params: Params, number: int, config: RunConfig) -> Params:
    """Gives policies of a format before 4 a temperature of their own. Their policy heads had been
    divided by the oracle's temperature. The new temperature is the power of two nearest to the
    oracle's, and the heads are multiplied by it. So no rounding changes, and every action keeps its
    probability. Policies of iteration 0 are untrained, and tables have no temperature. Raises
    Damaged if there is no policy head."""
    settings = config.oracle_settings
    if settings is None:
        return params
    doublings = round(float(np.log2(settings.temperature))) if number else 0
    temperature = np.float32(2.0 ** np.clip(doublings, -_MOST_DOUBLINGS, _MOST_DOUBLINGS))
    network = params.get("network", params)
    head = network.get("policy_head") if isinstance(network, dict) else None
    if not isinstance(head, dict) or not isinstance(head.get("bias"), np.ndarray):
        raise Damaged("it must hold a policy head")
    if not all(isinstance(leaf, np.ndarray) for leaf in head.values()):
        raise Damaged("its policy head must be arrays")
    head = {name: leaf * temperature for name, leaf in head.items()}
    axes = head["bias"].shape[:2]
    network = network | {"policy_head": head}
    params = params | {"network": network} if "network" in params else network
    return params | {"temperature": np.full(axes, temperature, np.float32)}
