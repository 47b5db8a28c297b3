"""The restricted game's strategy as recurrent networks, for XDO whose policies are networks (NXDO,
McAleer et al. 2021, arXiv:2103.06426).

The paper trains NFSP in the restricted game: reinforcement learning against an average network that
imitates all that was played. On a tree what it imitates is known: here an average network of each
player imitates an equilibrium of the restricted game (`restricted_game.solve`), on all info states
at once, with nothing sampled. What comes out acts in rollouts like any other network.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np
import optax

from games.tree import GameTree, PlayerTree
from psro import exact
from psro.levels import by_level, levels
from psro.policy import Params, Policy, Tabulator, log_probabilities
from psro.restricted_game import Solution


class NXDOError(ValueError):
    """Settings that cannot be; one sentence says why."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class NXDOConfig:
    """Imitation of one restricted equilibrium by both players' networks."""

    steps: int = 2000
    """Gradient steps, rounded up to whole rounds."""
    steps_per_round: int = 100
    """Gradient steps between two exact evaluations."""
    learning_rate: float = 1e-2
    """Adam's step size at the start; falls to zero along a half cosine."""
    max_gradient_norm: float = 1.0
    """Gradients are scaled down to this global norm."""

    def __post_init__(self):
        for name in ("steps", "steps_per_round", "learning_rate", "max_gradient_norm"):
            if not getattr(self, name) > 0:
                raise NXDOError(f"nxdo.{name} = {getattr(self, name)} must be above 0")

    @property
    def rounds(self) -> int:
        return -(-self.steps // self.steps_per_round)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Imitation:
    """Networks that play a restricted game.

    Attributes:
        params: of both players, leaves `[P, ...]`.
        plans: what they play with disallowed actions left out, in the whole game, `[S_p]` each.
        measured: of the same, in the restricted game.
        leak: probability that the networks by themselves, with nothing left out, leave the
            restricted game in an episode.
        curve: the restricted game's NashConv after each round, the first before training.
    """

    params: Params
    plans: list[np.ndarray]
    measured: exact.Exploitability
    leak: float
    curve: list[float]


class Imitator:
    """`Imitator(tree, policy, config)(solution, masks, initial)`, compiled once for all restricted
    games of a tree."""

    def __init__(self, tree: GameTree, policy: Policy, config: NXDOConfig):
        self._tree = tree
        self._policy = policy
        self._config = config
        self._levels = levels(tree)
        self._tabulate = Tabulator(policy, tree)
        self._optimizer = optax.chain(
            optax.clip_by_global_norm(config.max_gradient_norm),
            optax.adam(
                optax.cosine_decay_schedule(
                    config.learning_rate, config.rounds * config.steps_per_round
                )
            ),
        )
        self._round = jax.jit(self._steps)

    def __call__(
        self, solution: Solution, masks: Sequence[np.ndarray], initial: Params
    ) -> Imitation:
        """Networks, from `initial` (leaves `[P, ...]`) on, that play a restricted equilibrium.

        Cross entropy with the equilibrium's action probabilities; an info state counts by the
        probability that the player itself and chance play their parts of the way to it: the
        opponent, which a NashConv is about, may play anything. Networks are trained to play
        disallowed actions with probability zero, and measured with those left out.
        """
        targets = self._targets(solution)
        params, opt_state, curve = initial, self._optimizer.init(initial), []
        for number in range(self._config.rounds + 1):
            if number:
                params, opt_state = self._round(params, opt_state, targets)
            behaviours = self._tabulate(params)
            plans = [
                exact.realization_plan(player, keep_to(player, mask, behaviour))
                for player, mask, behaviour in zip(
                    self._tree.players, masks, behaviours, strict=True
                )
            ]
            inside = [
                plan[kept] for plan, kept in zip(plans, solution.restricted.sequences, strict=True)
            ]
            measured = exact.exploitability(solution.restricted.tree, inside)
            curve.append(measured.nash_conv)
        stays = solution.restricted.tree.chance.copy()
        for p, kept in enumerate(solution.restricted.sequences):
            plan = exact.realization_plan(self._tree.players[p], behaviours[p])
            stays *= plan[kept][solution.restricted.tree.sequence[:, p]]
        return Imitation(
            params=params,
            plans=plans,
            measured=measured,
            leak=float(1 - stays.sum()),
            curve=curve,
        )

    def _targets(self, solution: Solution) -> list[np.ndarray]:
        """How much each action counts, float32 `[P, W, A]` by level; all of a player's sum to 1."""
        targets = []
        for p, (player, plan) in enumerate(zip(self._tree.players, solution.plans, strict=True)):
            chance = exact.info_state_reach(self._tree, p, self._tree.chance)  # [I]
            weight = np.append(0.0, plan[1:] * chance[player.info_state[1:]])
            targets.append(by_level(self._tree, p, weight / weight.sum()))
        return list(map(np.stack, zip(*targets, strict=True)))

    def _steps(
        self, params: Params, opt_state: optax.OptState, targets: Sequence[jax.Array]
    ) -> tuple[Params, optax.OptState]:
        """One round."""

        def loss(params: Params) -> jax.Array:
            logits, _ = jax.vmap(self._policy.tabulate)(params, self._levels)  # [P, W, A] a level
            return -sum(
                (target * log_probabilities(each, level.legal)).sum()
                for target, each, level in zip(targets, logits, self._levels, strict=True)
            )

        def step(learner: tuple[Params, optax.OptState], _):
            params, opt_state = learner
            change, opt_state = self._optimizer.update(jax.grad(loss)(params), opt_state, params)
            return (optax.apply_updates(params, change), opt_state), None

        learner, _ = jax.lax.scan(step, (params, opt_state), length=self._config.steps_per_round)
        return learner


def keep_to(player: PlayerTree, mask: np.ndarray, behaviour: np.ndarray) -> np.ndarray:
    """A behaviour `[S]` that keeps to a mask, bool `[S]`: disallowed actions are left out and the
    others share what is left; unchanged at info states where nothing is allowed, or nothing that it
    plays."""
    weight = np.where(mask, behaviour, 0.0)
    total = np.bincount(
        player.info_state[1:], weights=weight[1:], minlength=player.num_info_states
    )[player.info_state[1:]]
    kept = behaviour.copy()
    some = total > 0
    kept[1:][some] = weight[1:][some] / total[some]
    return kept
