"""The optimisers of oracles. They are flat: one vector instead of a dozen small arrays compiles and
runs faster."""

from __future__ import annotations

import optax

from psro.oracles.settings import SampledConfig, WholeTreeConfig


def optimizer(config: SampledConfig) -> optax.GradientTransformation:
    """Of oracles that train on sampled episodes: Adam on clipped gradients, for
    `num_updates * steps_per_update` steps."""
    step_size = config.first_learning_rate
    if config.anneal_learning_rate:
        steps = config.num_updates * config.steps_per_update
        step_size = optax.linear_schedule(step_size, 0.0, steps)
    return optax.flatten(
        optax.chain(
            optax.clip_by_global_norm(config.max_gradient_norm),
            optax.adam(step_size, eps=config.adam_eps),
        )
    )


def exact_optimizer(config: WholeTreeConfig, steps: int) -> optax.GradientTransformation:
    """Of oracles that fit exact values: Adam on clipped gradients, whose step size falls to zero in
    this number of steps."""
    return optax.flatten(
        optax.chain(
            optax.clip_by_global_norm(config.max_gradient_norm),
            optax.adam(optax.cosine_decay_schedule(config.learning_rate, steps)),
        )
    )
