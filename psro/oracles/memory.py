"""What the players of a rollout remember within an episode."""

from __future__ import annotations

import dataclasses

import jax

from psro.policies.networks.cells.cell import Carry
from psro.policies.networks.cells.parts import restarted
from psro.policies.policy import Policy


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Memory:
    """The memory of one seat within an episode: its carry and its own last action. Before the
    first action this is the policy's `no_action`: -1 if actions are numbers."""

    carry: Carry
    last_action: jax.Array


def blank(policy: Policy, shape: tuple[int, ...]) -> Memory:
    """The memory at the start of an episode, leaves `[*shape, ...]`."""
    return Memory(carry=policy.initial_carry(shape), last_action=policy.no_action(shape))


def forgotten(policy: Policy, memory: Memory, where: jax.Array) -> Memory:
    """A blank memory where `where [E]`; leaves `[E, ...]` or `[Q, E, ...]`."""
    return Memory(
        carry=policy.forget(memory.carry, where),
        last_action=restarted(policy.no_action(()), memory.last_action, where),
    )
