"""Dreamer: best responses that are learned within a learned model of the world.

`learner` is the oracle, `model` the loss of the world model, `imagination` what the actor and the
critic learn from. The network is in `psro.policies.networks.world_model`.
"""
