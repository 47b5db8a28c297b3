"""What was compiled is used again: by runs of another length, another seed, and another game of the
same shape. And runs do not depend on JAX's settings for types and transfers."""

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

import psro
from psro.oracles import CONFIGS, ORACLES
from psro.runs.config import RunConfig

SAMPLED = {"decisions": 256, "evaluations": 1, "num_envs": 16, "num_strata": 4}
SMALL = {
    "ppo": {**SAMPLED, "sequence_length": 4, "num_minibatches": 1, "epochs": 1},
    **dict.fromkeys(
        ("dqn", "r2d2", "sac", "dreamer"), {**SAMPLED, "num_batches": 1, "num_sequences": 8}
    ),
    "pqn": {**SAMPLED, "num_minibatches": 1, "epochs": 1},
    **dict.fromkeys(("a2c", "reinforce"), SAMPLED),
    **dict.fromkeys(("full_width", "distill", "conditional"), {"steps": 4, "steps_per_round": 2}),
}


def config_of(oracle, game="kuhn_poker", **changes):
    more = {"expansion": "hierarchy", "levels": 1} if oracle == "conditional" else {}
    if oracle in CONFIGS:
        more |= {oracle: CONFIGS[oracle](**SMALL[oracle])}
    return RunConfig(game=game, oracle=oracle, hidden_size=4, tolerance=0.0, **more | changes)


@pytest.fixture
def compiled(tmp_path):
    """The names of the programs that were compiled since."""
    names = (
        "jax_compilation_cache_dir",
        "jax_persistent_cache_min_compile_time_secs",
        "jax_persistent_cache_min_entry_size_bytes",
    )
    before = [getattr(jax.config, name) for name in names]
    for name, value in zip(names, (str(tmp_path / "cache"), 0, -1), strict=True):
        jax.config.update(name, value)
    compilation_cache.reset_cache()
    yield lambda: {path.name for path in (tmp_path / "cache").glob("*-cache")}
    for name, value in zip(names, before, strict=True):
        jax.config.update(name, value)
    compilation_cache.reset_cache()


@pytest.mark.parametrize(
    "oracle",
    [
        "full_width",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("ppo", "dqn", "conditional")),
    ],
)
def test_a_second_run_compiles_nothing(tmp_path, compiled, oracle):
    psro.run(config_of(oracle, iterations=5), tmp_path / "long")
    programs = compiled()
    assert programs
    psro.run(config_of(oracle, iterations=1, seed=5), tmp_path / "short")
    assert compiled() == programs
    games = []
    for seed in range(2):
        games.append(tmp_path / f"game{seed}.csv")
        table = np.random.default_rng(seed).normal(size=(3, 3)) * (1 + seed)
        np.savetxt(games[-1], table, delimiter=",")
        psro.run(config_of(oracle, str(games[-1]), iterations=1), tmp_path / f"run{seed}")
        if not seed:
            programs = compiled()
    assert compiled() == programs


@pytest.mark.parametrize(
    "oracle",
    [
        name
        if name in ("ppo", "full_width", "best_response")
        else pytest.param(name, marks=pytest.mark.slow)
        for name in ORACLES
    ],
)
def test_runs_under_strict_types_and_transfers(tmp_path, oracle):
    """By JAX_ENABLE_X64=1, JAX_NUMPY_DTYPE_PROMOTION=strict and JAX_TRANSFER_GUARD=disallow:
    what is saved has the types that are read, and is what is saved without them."""
    config = config_of(oracle, iterations=1)
    with (
        jax.enable_x64(True),
        jax.numpy_dtype_promotion("strict"),
        jax.transfer_guard("disallow"),
    ):
        run = psro.run(config, tmp_path / "strict")
        loaded = psro.load(run.folder)
        assert loaded.exploitability() == run.exploitability()
        bot, state = loaded.bot(0, seed=0), loaded.policy()._index.game.new_initial_state()
        while state.is_chance_node():
            state.apply_action(state.legal_actions()[0])
        bot.step(state)
    plain = psro.run(config, tmp_path / "plain")
    jax.tree.map(np.testing.assert_array_equal, loaded.populations, plain.populations)
