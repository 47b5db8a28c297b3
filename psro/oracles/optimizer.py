"""The optimiser of the oracles that train on sampled episodes."""

from __future__ import annotations

import optax

from psro.oracles.settings import SampledConfig


def optimizer(config: SampledConfig) -> optax.GradientTransformation:
    """Adam on clipped gradients, for `num_updates * steps_per_update` steps. Flat: one vector
    instead of a dozen small arrays compiles and runs faster."""
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
