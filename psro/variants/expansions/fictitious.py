"""Self-play first, then fictitious play that begins from it."""

from __future__ import annotations

import math

import numpy as np

from psro.metagame.strategy import MetaStrategy
from psro.variants.expansions.base import Expanded, Situation, Steps, Train
from psro.variants.expansions.self_play import self_play

PRIOR = 30
"""The best responses that the last policy of self-play counts as much as."""


def fictitious(now: Situation) -> Steps:
    """In the first `now.horizon` iterations all players learn together (`self_play`). Then each
    iteration k adds a best response b_k to the opponents' mixture sigma, and the mixtures move by

        sigma_k = sigma_(k-1) + (b_k - sigma_(k-1)) / (PRIOR + k).

    That is fictitious play (Brown 1951) in the space of policies, with the last policy of self-play
    in the place of its first `PRIOR` steps. A meta-solver trusts a new best response as soon as it
    beats the policies that are there, and what beats it is not among them yet. Here it gets the
    weight of one step, so the mixture stays close to self-play where best responses are poor.
    Nothing depends on payoffs.
    """
    if now.number <= now.horizon:
        return (yield from self_play(now))
    size = now.meta_game.size
    yield [Train(slot=size, against=now.meta_strategy)]
    step = 1 / (PRIOR + now.number - now.horizon)
    moved = now.meta_strategy.padded(size + 1).marginals
    for weights in moved:
        weights *= 1 - step
        weights[size] = step
    return Expanded(meta_strategy=MetaStrategy(marginals=moved))


def fictitious_average(now: Situation) -> Steps:
    """`fictitious` that begins from the even mixture of the newer half of the policies of self-play
    (of the policies to play; `psro.metagame.solvers.suffix_average` gives the source), and not from
    the last one alone.

    At a low temperature the policies of self-play turn around an equilibrium, and their average is
    closer to it than each of them. At a high one they approach a regularised equilibrium, and the
    last one is the closest.
    """
    return (yield from _from_newer_half(now, power=0))


def fictitious_decay(now: Situation) -> Steps:
    """`fictitious_average` whose policy of iteration t has weight t^4: polynomial decay (Shamir and
    Zhang 2013, arXiv:1212.1824). The newest policies count more, so it is between the last policy
    and the even mixture."""
    return (yield from _from_newer_half(now, power=4))


def _from_newer_half(now: Situation, power: int) -> Steps:
    """`fictitious` from a mixture of the newer half of self-play, the policy of iteration t with a
    weight of t^power."""
    expanded = yield from fictitious(now)
    if now.number != now.horizon:
        return expanded
    size = now.meta_game.size + now.networks  # of the population with the policies of this step
    mixture = np.zeros(size)
    for age in range(math.ceil(now.horizon / 2)):
        mixture[size - now.networks * (age + 1)] = (1 - age / now.horizon) ** power
    mixture /= mixture.sum()
    return Expanded(meta_strategy=MetaStrategy(marginals=(mixture,) * now.meta_game.num_players))
