"""The policies of a population for an offline page: as tables, or as networks that `minds.js`
evaluates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from games import GameTree
from games.spaces import Box
from psro.play.match import MatchError
from psro.policies.jax_settings import own_settings
from psro.policies.policy import Policy
from psro.runs.experiment import Experiment

SMALL_TABLES = 3 << 19
"""Tables of more bytes give way to networks, where those are smaller."""
MAX_BYTES = 1 << 25
"""The most bytes of policies in a page."""
CELLS = ("lstm", "gru", "none")
"""The memory cells of `minds.js`."""
_UNUSED = ("value_head/", "encoder/value/", "cell/value/", "normaliser/count")


def packed_policies(
    experiment: Experiment, support: Sequence[np.ndarray]
) -> tuple[dict[str, Any] | None, dict[str, np.ndarray]]:
    """How networks are laid out, None where policies are tables, and the arrays of the policies in
    each player's support.

    Raises:
        MatchError: they are too large for a page, or networks that only Python evaluates in a game
            without a tree.
    """
    tree, name = experiment.tree, experiment.config.game
    tables = _size_of_tables(tree, support) if tree is not None else MAX_BYTES + 1
    if tables > SMALL_TABLES and is_known(experiment.policy_network):
        layout, arrays = _networks(experiment, support)
        size = sum(array.nbytes for array in arrays.values())
        if size < min(tables, MAX_BYTES):
            return layout, arrays
    if tree is None:
        raise MatchError(
            f"{name} has no tree for a page, and pages play networks with the cells "
            f"{', '.join(CELLS)}, of up to {MAX_BYTES >> 20} MiB together"
        )
    if tables > MAX_BYTES:
        raise MatchError(
            f"the policies of {name} take {tables / 2**20:.0f} MiB as tables, and a page holds at "
            f"most {MAX_BYTES / 2**20:.0f}"
        )
    return None, _tables(experiment, support)


def is_known(policy: Any) -> bool:
    """Whether `minds.js` evaluates such networks."""
    if type(policy) is not Policy:
        return False
    settings = policy.settings
    return (
        settings["cell"] in CELLS
        and settings["dtype"] == "float32"
        and settings["network"].encoder in ("linear", "mlp")
        and isinstance(policy.observation_space, Box)
        and not isinstance(policy.action_space, Box)
    )


def _size_of_tables(tree: GameTree, support: Sequence[np.ndarray]) -> int:
    pairs = zip(support, tree.players, strict=True)
    return sum(4 * len(own) * player.num_sequences for own, player in pairs)


@own_settings()
def _tables(experiment: Experiment, support: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """The probabilities of every player's policies at all its info states, float32 `[K, S_p]`."""
    populations, most = experiment.populations, max(map(len, support))
    padded = [np.resize(own, most) for own in support]
    rows = []
    for k in range(most):
        chosen = [own[k] for own in padded]
        together = jax.tree.map(
            lambda *leaves, chosen=chosen: np.stack(
                [leaf[policy] for leaf, policy in zip(leaves, chosen, strict=True)]
            ),
            *populations,
        )
        rows.append(experiment.setup.tabulate(together))
    return {
        f"policies_{p}": np.stack([rows[k][p] for k in range(len(own))], dtype=np.float32)
        for p, own in enumerate(support)
    }


def _networks(
    experiment: Experiment, support: Sequence[np.ndarray]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Every player's networks, their parameters end to end, float32 `[K, N]`; and, in a game with a
    tree, what they see at its info states."""
    policy, tree = experiment.policy_network, experiment.tree
    arrays, leaves, size = {}, [], 0
    for p, own in enumerate(support):
        named = {
            jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf)[own]
            for path, leaf in jax.tree_util.tree_leaves_with_path(experiment.populations[p])
        }
        used = {
            name.replace("/policy/", "/"): leaf.reshape(len(own), -1).astype(np.float32)
            for name, leaf in named.items()
            if not name.startswith(_UNUSED)
        }
        arrays[f"networks_{p}"] = np.concatenate(list(used.values()), axis=1)
        ends = np.cumsum([leaf.shape[1] for leaf in used.values()]).tolist()
        leaves = [
            [name, end - leaf.shape[1], leaf.shape[1]]
            for (name, leaf), end in zip(used.items(), ends, strict=True)
        ]
        size = ends[-1]
    if tree is not None:
        for p, own in enumerate(tree.players):
            arrays[f"observation_{p}"] = _compact(own.observe(slice(None)))
    return {
        "leaves": leaves,
        "size": size,
        "cell": policy.settings["cell"],
        "hidden": policy.settings["hidden_size"],
        "actions": policy.action_space.num,
        "seen": policy.observation_space.size,
    }, arrays


def _compact(observation: np.ndarray) -> np.ndarray:
    return np.asarray(observation, np.int8 if observation.dtype == np.int8 else np.float32)
