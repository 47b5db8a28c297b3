"""Recurrent PPO: the learner's decisions per CPU second, ours and purejaxrl's `ppo_rnn.py`.

    python experiments/speed/ppo_steps.py --purejaxrl PATH

PATH is a checkout of luchris429/purejaxrl, whose `purejaxrl/ppo_rnn.py` is imported from there and
called as it is; gymnax and distrax must be installed. Three things in it are older than today's
packages and are mended from outside, see `load_purejaxrl`.

Alike on both sides: an encoder and a GRU of the same width, the number of environments, the length
of a rollout and of the sequences that gradients flow through, epochs, minibatches, Adam with a
clipped gradient norm, one process, the same jax. Different, and in whose favour:

- their network has a hidden layer more in front of each head. `--hidden-sizes 128 148` measures
  ours as wide as theirs (fewer parameters) and with as many parameters (wider);
- with `--game kuhn_poker` our environment is a game of two: an opponent's network of the learner's
  size, with a memory of its own, moves too, and its moves are not counted. Theirs is a
  single-player environment. By default both play gymnax's CartPole;
- ours can train on shorter sequences (`--sequence-lengths`), which theirs cannot: a row of its own.

Compiling is left out (everything runs once before). The programs take turns, `--repeats` times, and
the best of each counts; CPU seconds are of all threads of the process.
"""

import argparse
import dataclasses
import importlib
import os
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import games
from games.game import Game
from games.tree_game import TreeGame
from psro.oracles import ORACLES, Jobs, PPOConfig
from psro.policies.policy import Policy

WIDTH = 128
"""Of purejaxrl's encoder and cell; it is written into `ppo_rnn.py`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Program:
    """Something to measure: `run(seed)` returns the decisions that the learner took."""

    name: str
    num_envs: int
    sequence_length: int
    parameters: int
    run: Callable[[int], int]


def load_purejaxrl(checkout: Path) -> types.ModuleType:
    """`ppo_rnn` of a checkout, mended where it is older than the packages that it needs.

    1. `wrappers.py` imports brax and navix, which `ppo_rnn` does not use: empty modules stand in.
    2. `nn.GRUCell()` needs its size now, and `GRUCell.initialize_carry` is a method: a subclass has
       the size and the static function of old.
    3. gymnax 1.0 returns six values from a step: gymnax's own `LegacyStepAPIWrapper` returns five.
    """
    from flax import linen

    names = ("brax", "brax.envs", "brax.envs.wrappers", "brax.envs.wrappers.training", "navix")
    for name in names:
        sys.modules.setdefault(name, types.ModuleType(name))
    sys.modules["brax"].envs = sys.modules["brax.envs"]
    training = sys.modules["brax.envs.wrappers.training"]
    training.EpisodeWrapper = training.AutoResetWrapper = object
    sys.path.insert(0, str(checkout / "purejaxrl"))
    module = importlib.import_module("ppo_rnn")

    import gymnax
    from gymnax.wrappers import LegacyStepAPIWrapper

    class GRUCell(linen.GRUCell):
        features: int = WIDTH

        @staticmethod
        def initialize_carry(key, batch_shape, size):
            return jnp.zeros((*batch_shape, size))

    def make(name):
        env, params = gymnax.make(name)
        return LegacyStepAPIWrapper(env), params

    module.nn = _Changed(linen, GRUCell=GRUCell)
    module.gymnax = _Changed(gymnax, make=make)
    return module


class _Changed:
    """A module with some of its names replaced."""

    def __init__(self, module: types.ModuleType, **names):
        self.__dict__.update(names)
        self._module = module

    def __getattr__(self, name: str):
        return getattr(self._module, name)


def theirs(module: types.ModuleType, arguments: argparse.Namespace, num_envs: int) -> Program:
    per_update = num_envs * arguments.rollout_length
    decisions = -(-arguments.decisions // per_update) * per_update
    train = jax.jit(
        module.make_train(
            {
                "LR": 2.5e-4,
                "NUM_ENVS": num_envs,
                "NUM_STEPS": arguments.rollout_length,
                "TOTAL_TIMESTEPS": decisions,
                "UPDATE_EPOCHS": arguments.epochs,
                "NUM_MINIBATCHES": arguments.num_minibatches,
                "GAMMA": 0.99,
                "GAE_LAMBDA": 0.95,
                "CLIP_EPS": 0.2,
                "ENT_COEF": 0.01,
                "VF_COEF": 0.5,
                "MAX_GRAD_NORM": 0.5,
                "ENV_NAME": arguments.env,
                "ANNEAL_LR": True,
                "DEBUG": False,
            }
        )
    )

    def run(seed: int) -> int:
        jax.block_until_ready(train(jax.random.PRNGKey(seed)))
        return decisions

    state = jax.eval_shape(train, jax.random.PRNGKey(0))["runner_state"][0]
    return Program(
        name=f"purejaxrl, {arguments.env}",
        num_envs=num_envs,
        sequence_length=arguments.rollout_length,
        parameters=_size(state.params),
        run=run,
    )


def ours(
    game: Game,
    arguments: argparse.Namespace,
    *,
    num_envs: int,
    hidden_size: int,
    sequence_length: int,
) -> Program:
    policy = Policy(
        observation_space=game.observation_space,
        action_space=game.action_space,
        hidden_size=hidden_size,
        cell="gru",
    )
    oracle = ORACLES["ppo"](
        game,
        policy,
        PPOConfig(
            decisions=arguments.decisions,
            num_envs=num_envs,
            num_strata=arguments.num_strata,
            rollout_length=arguments.rollout_length,
            sequence_length=sequence_length,
            epochs=arguments.epochs,
            num_minibatches=arguments.num_minibatches,
            learning_rate=2.5e-4,
        ),
    )
    networks = policy.init_many(jax.random.split(jax.random.key(0), game.num_players + 1))
    jobs = Jobs.alone(jax.random.key(0), jax.tree.map(lambda leaf: leaf[0], networks))
    if game.num_players > 1:
        jobs = Jobs.of_one_run(
            jax.random.key(0),
            player=np.zeros(1),
            initial=jax.tree.map(lambda leaf: leaf[:1], networks),
            populations=jax.tree.map(lambda leaf: leaf[1:, None], networks),
            opponents=np.ones((1, 1)),
        )

    def run(seed: int) -> int:
        results = oracle(dataclasses.replace(jobs, key=jax.random.key(seed)[None]))
        return int(results.decisions.sum())

    return Program(
        name=f"ours, {game.name}, width {hidden_size}",
        num_envs=num_envs,
        sequence_length=sequence_length,
        parameters=_size(jobs.initial),
        run=run,
    )


def _size(params) -> int:
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(params))


def measure(programs: list[Program], repeats: int) -> list[tuple[int, float, float]]:
    """For each program the decisions, wall and CPU seconds of its run with the least CPU seconds;
    they take turns."""
    for program in programs:
        program.run(0)  # compiles
    runs = [[] for _ in programs]
    for seed in range(1, repeats + 1):
        for program, results in zip(programs, runs, strict=True):
            wall, cpu = time.perf_counter(), time.process_time()
            decisions = program.run(seed)
            results.append((decisions, time.perf_counter() - wall, time.process_time() - cpu))
    return [min(results, key=lambda result: result[2] / result[0]) for results in runs]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--purejaxrl", type=Path, required=True, help="its checkout")
    parser.add_argument("--num-envs", type=int, nargs="+", default=[4, 64, 256])
    parser.add_argument("--env", default="CartPole-v1", help="theirs, of gymnax")
    parser.add_argument("--game", default="gymnax::CartPole-v1", help="ours")
    parser.add_argument("--hidden-sizes", type=int, nargs="+", default=[WIDTH, 148])
    parser.add_argument("--sequence-lengths", type=int, nargs="+", default=[128, 8])
    parser.add_argument("--rollout-length", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--num-minibatches", type=int, default=4)
    parser.add_argument("--num-strata", type=int, default=1, help="ours: groups of environments")
    parser.add_argument("--decisions", type=int, default=131_072, help="of one run")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cores", type=int, help="use only so many of the processor's cores")
    arguments = parser.parse_args()
    if arguments.cores:  # jax counts them when it starts its threads, which is not yet
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.cores])
    module, game = load_purejaxrl(arguments.purejaxrl), games.load(arguments.game)
    if isinstance(game, games.GameTree):
        game = TreeGame(game)
    print(
        "| environments | program | sequence | parameters | decisions | wall, s | CPU, s | "
        "decisions per CPU second | times theirs |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for num_envs in arguments.num_envs:
        programs = [theirs(module, arguments, num_envs)] + [
            ours(
                game,
                arguments,
                num_envs=num_envs,
                hidden_size=hidden_size,
                sequence_length=sequence_length,
            )
            for sequence_length in arguments.sequence_lengths
            for hidden_size in arguments.hidden_sizes
        ]
        measured = measure(programs, arguments.repeats)
        baseline = measured[0][0] / measured[0][2]
        for program, (decisions, wall, cpu) in zip(programs, measured, strict=True):
            print(
                f"| {num_envs} | {program.name} | {program.sequence_length} | "
                f"{program.parameters:,} | {decisions:,} | {wall:.2f} | {cpu:.2f} | "
                f"{decisions / cpu:,.0f} | {decisions / cpu / baseline:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
