"""The policies of an iteration, on disk.

A file holds every player's N policies that an iteration made, leaves `[P, N, ...]`, or of all seats
that share them `[1, N, ...]`; with their numbers in the populations, and the marginals of the
meta-strategy that was measured after it. What all of them have in common, as the network of
policies that are told apart by a condition, is there once, named `shared/...`, without these axes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from psro.runs import storage
from psro.runs.config import RunConfig
from psro.runs.storage import ExperimentError
from psro.training.record import Iteration

if TYPE_CHECKING:
    from psro.policies.policy import Params

_FOLDER = "policies"
_SHARED = "shared/"
_SHAREABLE = "network/"
"""The parameters that policies of a `ConditionalPolicy` share once they are trained."""
_MOST_DOUBLINGS = 24
"""Of a temperature; float32 holds logits that are this much larger or smaller as exactly."""


def make_folder(folder: Path) -> None:
    """Where the policies of a run that begins will stand."""
    (folder / _FOLDER).mkdir(exist_ok=True)


def policy_file(folder: Path, number: int) -> Path:
    """Where the policies of an iteration stand."""
    return folder / _FOLDER / f"{number:04d}.safetensors"


def write_policies(folder: Path, iteration: Iteration, num_populations: int) -> str:
    """An iteration's policies, before the commit that names them by the digest that is returned."""
    import jax  # here, not above: who reads what stands beside policies needs none

    make_folder(folder)
    stacks = storage.flatten(
        jax.tree.map(
            lambda *leaves: np.stack([leaf[:num_populations] for leaf in leaves], axis=1),
            *iteration.policies.values(),
        )
    )
    return storage.write_tensors(
        policy_file(folder, iteration.record.iteration),
        dict(_once(name, stack) for name, stack in stacks.items()),
        {
            "slots": list(iteration.policies),
            "meta_strategy": [weights.tolist() for weights in iteration.evaluation.marginals],
        },
    )


def _once(name: str, stack: np.ndarray) -> tuple[str, np.ndarray]:
    """What all policies share, `[P, N, ...]`, without the axes of policies."""
    first = stack[0, 0]
    if name.startswith(_SHAREABLE) and (stack == first).all():
        return _SHARED + name, first
    return name, stack


def read_policies(
    path: Path, digest: str, number: int, config: RunConfig
) -> tuple[Params, list[int]]:
    """Policies of iteration `number`, leaves `[P, N, ...]`, and their N numbers in the populations.

    Raises:
        ExperimentError: the file is missing or damaged, or is not the one of that digest.
    """
    tensors, info = storage.read_tensors(path)
    check_named(path, info, digest)
    slots = info.get("slots", [number])
    try:
        if "slots" not in info:  # before format 3: one policy an iteration, and no axis for it
            tensors = {name: value[:, None] for name, value in tensors.items()}
        if not all(type(slot) is int and slot >= 0 for slot in slots) or not slots:
            raise ValueError("slots must be numbers of policies")
        if len(set(slots)) < len(slots):
            raise ValueError("a slot is there twice")
        own = [value for name, value in tensors.items() if not name.startswith(_SHARED)]
        if not own or own[0].ndim < 2:
            raise ValueError("it must hold policies of every player")
        axes = own[0].shape[:2]
        tensors = dict(_for_all(name, value, axes) for name, value in tensors.items())
        for name, value in tensors.items():
            if value.dtype != np.float32 or not np.isfinite(value).all():
                raise ValueError(f"{name} must be finite float32 numbers")
            if value.ndim < 2 or value.shape[1] != len(slots):
                raise ValueError(f"{name} must hold {len(slots)} policies a player")
        params = storage.unflatten(tensors)
        if info["format_version"] < 4:
            params = _with_temperature(params, number, config)
        if "temperature" in params and not (params["temperature"] > 0).all():
            raise ValueError("temperature must be above 0")
        return params, slots
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ExperimentError(f"{path} is damaged: {storage.sentence(error)}") from None


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
    The policies of iteration 0 are untrained, and tables have no temperature."""
    settings = getattr(config, config.oracle, None)
    if settings is None:
        return params
    doublings = round(float(np.log2(settings.temperature))) if number else 0
    temperature = np.float32(2.0 ** np.clip(doublings, -_MOST_DOUBLINGS, _MOST_DOUBLINGS))
    network = params.get("network", params)
    head = {name: leaf * temperature for name, leaf in network["policy_head"].items()}
    axes = head["bias"].shape[:2]
    network = network | {"policy_head": head}
    params = params | {"network": network} if "network" in params else network
    return params | {"temperature": np.full(axes, temperature, np.float32)}
