"""How far ahead Dreamer's world model sees, beside a forecast that copies the last observation.

    python experiments/dreamer/open_loop.py --game leduc_poker

The first player of a game trains against untrained networks; an environment's learner trains alone,
with the defaults of `psro train`. Then fresh episodes are played. From
every decision whose episode goes on long enough, the model is told the actions that follow and
nothing else: the prior answers, by its mode. Errors are means of squares per entry of the flat
observation, after symlog. The copy is the observation at the start.
"""

from __future__ import annotations

import argparse
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

import games
from games.readers.opening import open_game
from psro.oracles import Dreamer, DreamerConfig, Jobs
from psro.oracles.decisions import Turn
from psro.oracles.dreamer.model import filtered
from psro.oracles.rollout import Rollout
from psro.policies.dreamer_policy import DreamerPolicy
from psro.policies.networks.world_model import draw
from psro.runs.learner_config import LearnerConfig


def open_loop(
    policy: DreamerPolicy, params, turn: Turn, carry, action: jax.Array, ahead: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Squared errors `[ahead, T - ahead, E]` of the model and of the copy, and where a decision
    `ahead` steps later belongs to the same episode. Inputs are `[T, E]`."""
    model = policy.model(params)
    states = filtered(policy, model, turn, carry)
    target = model.target(turn.observation)  # [T, E, O]
    last = len(turn.reset) - ahead

    def start(leaf: jax.Array) -> jax.Array:
        return leaf[:last]

    belief = jax.tree.map(start, states.carry)
    inside = turn.valid[:last]
    errors, copied, counted = [], [], []
    for step in range(1, ahead + 1):
        memory, y = model.cell.advance(belief, policy.vector(action[step - 1 : last + step - 1]))
        belief = memory, draw(model.cell.prior(y), None)
        seen = target[step : last + step]
        guess = model.decoder(jnp.concatenate([y, belief[1]], axis=-1))
        inside &= ~turn.reset[step : last + step] & turn.valid[step : last + step]
        errors.append(jnp.square(guess - seen).mean(axis=-1))
        copied.append(jnp.square(start(target) - seen).mean(axis=-1))
        counted.append(inside)
    return jnp.stack(errors), jnp.stack(copied), jnp.stack(counted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--game", default="leduc_poker")
    parser.add_argument("--decisions", type=int, default=65_536)
    parser.add_argument("--hidden-size", type=int, default=32)
    parser.add_argument("--ahead", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    game = open_game(
        options.game,
        evaluation="auto",
        backend="auto",
        observation=None,
        max_histories=games.MAX_HISTORIES,
    ).game
    alone = game.num_players == 1
    config = LearnerConfig(game=options.game).dreamer if alone else DreamerConfig()
    config = dataclasses.replace(config, decisions=options.decisions)
    policy = DreamerPolicy(
        observation_space=game.observation_space,
        action_space=game.action_space,
        hidden_size=options.hidden_size,
        cell=config.cell,
        latents=config.latents,
        classes=config.classes,
    )
    keys = jax.random.split(jax.random.key(options.seed), 4)
    fresh = policy.init_many(jax.random.split(keys[0], game.num_players))
    oracle = Dreamer(game, policy, config)
    jobs = (
        Jobs.alone(keys[1], jax.tree.map(lambda leaf: leaf[0], fresh))
        if alone
        else Jobs.of_one_run(
            keys[1],
            player=np.zeros(1, np.int32),
            initial=jax.tree.map(lambda leaf: leaf[:1], fresh),
            populations=jax.tree.map(lambda leaf: leaf[:, None], fresh),
            opponents=np.ones((1, *(1,) * (game.num_players - 1))),
        )
    )
    params = jax.tree.map(lambda leaf: leaf[0], oracle(jobs).params)
    rollout = Rollout(game, policy, num_envs=256, num_strata=1, length=32, sequence_length=32)
    opponents = jax.tree.map(lambda leaf: leaf[1:, None], fresh)
    others = () if alone else opponents
    actors = rollout.restart(rollout.empty(), jnp.ones(1, bool), keys[2])
    play = jax.jit(lambda params, others: rollout(params, others, 0, actors, keys[3])[1])
    untempered = params | {"temperature": jnp.float32(1)}  # explores, so that it sees more
    seen = play(untempered, others)
    turn = Turn(**{name: getattr(seen, name) for name in Turn.__dataclass_fields__})
    carry = jax.tree.map(lambda leaf: leaf[0], seen.carry)
    measure = jax.jit(
        lambda params: open_loop(policy, params, turn, carry, seen.action, options.ahead)
    )
    for step, (model, copy, inside) in enumerate(
        zip(*jax.device_get(measure(params)), strict=True)
    ):
        if inside.any():
            ratio = model[inside].mean() / max(copy[inside].mean(), 1e-12)
            print(
                f"{step + 1} ahead: model {model[inside].mean():.4f}, "
                f"copy {copy[inside].mean():.4f}, ratio {ratio:.3f}, "
                f"{int(inside.sum())} decisions"
            )


if __name__ == "__main__":
    main()
