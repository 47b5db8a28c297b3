"""Policies that are tables over a player's sequences, for games that are not enumerated."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from games.form import Form
from games.info_states import InfoStates
from psro import exact
from psro.policies.policy import Params


class FormTable:
    """A policy that is a table: its parameters are `logits`, float32 `[S]`, one for each sequence
    of its player. S is that of the player with most sequences; the others' last entries are 0. A
    population holds it like a network. It cannot act in an environment.

    Args:
        form: the game.
    """

    def __init__(self, form: Form):
        self._size = max(player.num_sequences for player in form.players)

    def init_many(self, keys: jax.Array) -> Params:
        """Uniform policies for `keys [N]`, leaves `[N, S]`."""
        return {"logits": jnp.zeros((len(keys), self._size))}

    def from_plan(self, form: Form, player: int, plan: np.ndarray) -> Params:
        """The table of a realization plan of a player. It is exact where the plan is pure, and
        uniform where the plan never leads."""
        logits = np.zeros(self._size, np.float32)
        with np.errstate(divide="ignore"):
            values = np.log(exact.behaviour(form.players[player], plan))
        logits[: len(plan)] = np.maximum(values, -1e9)  # exp(-1e9) is zero
        return {"logits": logits}

    def tabulate(self, params: Params, states: InfoStates) -> np.ndarray:
        """Behaviours, float64 `[K, S]`, of policies with leaves `[K, S]`, as `ChunkedTabulator`."""
        logits = np.asarray(params["logits"], np.float64)[:, 1 : states.num_sequences]
        first = states.first_sequence[:-1].astype(np.int64) - 1
        counts = np.diff(states.first_sequence)
        result = np.ones((len(logits), states.num_sequences))
        for behaviour, own in zip(result, logits, strict=True):
            chances = np.exp(own - np.repeat(np.maximum.reduceat(own, first), counts))
            behaviour[1:] = chances / np.repeat(np.add.reduceat(chances, first), counts)
        return result
