"""The policies of an iteration, on disk.

A file holds every player's N policies that an iteration made, leaves `[P, N, ...]`, or of all seats
that share them `[1, N, ...]`; with their numbers in the populations, and the marginals of the
meta-strategy that was measured after it. What all of them have in common, as the network of
policies that are told apart by a condition, is there once, named `shared/...`, without these axes.
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
"""Of a temperature; float32 holds logits that are this much larger or smaller as exactly."""


def make_folder(folder: Path) -> None:
    """Where the policies of a run that begins will stand."""
    (folder / POLICIES).mkdir()


def policy_file(folder: Path, number: int) -> Path:
    """Where the policies of an iteration stand."""
    return folder / POLICIES / f"{number:04d}.safetensors"


def write_policies(held: disk.Held, iteration: Iteration, num_populations: int) -> str:
    """An iteration's policies, before the commit that names them by the digest that is returned."""
    import jax  # here, not above: who reads what stands beside policies needs none

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


def _once(name: str, stack: np.ndarray) -> tuple[str, np.ndarray]:
    """What all policies share, `[P, N, ...]`, without the axes of policies."""
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
    """All policies of a run by their numbers, leaves `[P, ...]`, as they are after its last
    iteration, and those that the last iteration made.

    Args:
        folder: of the run.
        records: of its iterations.
        digests: the checksums of its iterations' files, as the commit has them.
        config: of the run.
        expected: shapes of the parameters of one policy of each population, leaves `[P, ...]`, or
            `[1, ...]` where all seats share one.

    Raises:
        ExperimentError: a file is missing or damaged, is not the one of its digest, or holds other
            networks than config.json describes.
    """
    import jax

    room = sum(4 * math.prod(leaf.shape) for leaf in jax.tree.leaves(expected))
    num_populations = jax.tree.leaves(expected)[0].shape[0]
    seats = np.arange(len(records[0].value)) % num_populations  # whose each seat's is
    policies: dict[int, Params] = {}
    for number, digest in enumerate(digests):
        path, size = policy_file(folder, number), records[number].size
        stacks, slots = _read(path, digest, number, config, size=size, room=room)
        shapes = jax.tree.map(lambda leaf: (leaf.shape[0], *leaf.shape[2:]), stacks)
        if shapes != jax.tree.map(lambda leaf: leaf.shape, expected):
            raise ExperimentError(f"{path} does not hold the network that config.json describes")
        latest = {
            slot: jax.tree.map(lambda leaf, n=n: leaf[seats, n], stacks)
            for n, slot in enumerate(slots)
        }
        policies |= latest
        if len(policies) != size:
            raise ExperimentError(f"{path} is damaged: its slots do not make {size} policies")
    return policies, latest


def _read(
    path: Path, digest: str, number: int, config: RunConfig, *, size: int, room: int
) -> tuple[Params, list[int]]:
    """Policies of iteration `number`, leaves `[P, N, ...]`, and their N numbers in the populations,
    which are below `size`; `room` is the bytes that those of one number may have."""
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
    """The numbers of an iteration's policies; raises Damaged where they are none."""
    slots = info.get("slots", [number])  # none stand there before format 3
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
    """Parameters `[P, count, ...]` by their names; raises Damaged where they are none."""
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
    """Raises ExperimentError where a file is not the one that a commit names."""
    if info["sha256"] != digest:
        raise ExperimentError(f"{path} is damaged: it is not the file that the commit names")


def _for_all(name: str, value: np.ndarray, axes: tuple[int, int]) -> tuple[str, np.ndarray]:
    """The inverse of `_once`: a view, which takes no memory of its own."""
    if not name.startswith(_SHARED):
        return name, value
    return name.removeprefix(_SHARED), np.broadcast_to(value, (*axes, *value.shape))


def _with_temperature(params: Params, number: int, config: RunConfig) -> Params:
    """Policies of a format before 4, whose policy heads were divided by the oracle's temperature,
    with a temperature of their own: the power of two that is next to the oracle's, by which heads
    are multiplied. So no rounding changes, and every action has the same probability as before.
    The policies of iteration 0 are untrained, and tables have no temperature. Raises Damaged where
    there is no policy head."""
    settings = getattr(config, config.oracle, None)
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
