"""Settings that depend on the game: their defaults, and whether they are for this game."""

from __future__ import annotations

import dataclasses
import math
from typing import Protocol

from psro.errors import SettingsError
from psro.metagame.solving import MetaGameSolver, solver_of
from psro.oracles.self_play_settings import CENTRAL_SELF_PLAY
from psro.oracles.settings import CENTRAL_ORACLES, STARTS, SampledConfig
from psro.runs.config import (
    SAME,
    RunConfig,
    default_meta_solver,
)
from psro.runs.kinds import (
    is_conditional,
    is_enumerated,
    is_tabular,
    is_world_model,
    works_on_forms,
)
from psro.variants.expansions import EXPANSIONS, Expansion

_MOST_PROGRAMMED = 500_000
"""Up to this number of histories, `least_exploitable` costs less than training."""
SAMPLED_SHARE = 0.01
"""Of sampled figures, as a share of the game's largest return: what payoffs are measured to, and
the improvement below which a run may end."""


class Rules(Protocol):
    """What settings depend on: a `GameTree`, or a `games.Game` that is only played."""

    num_players: int
    is_constant_sum: bool
    span: float
    max_return: float
    num_histories: int | None


def with_defaults(config: RunConfig, game: Rules, *, exact: bool) -> RunConfig:
    """The config with every default decided, by the game and the oracle, and by whether policies
    are measured exactly. The measurements of experiments/leaderboard/ are the reason for these
    defaults."""
    meta_solver = config.meta_solver or default_meta_solver(game.num_players)
    plain = meta_solver == "nash" and config.expansion == "best_response"
    two_player_zero_sum = game.num_players == 2 and game.is_constant_sum
    most = min(_MOST_PROGRAMMED, config.max_histories)  # the linear program needs a matrix
    by_episodes = game.num_histories is None
    programmed = plain and two_player_zero_sum and not by_episodes and game.num_histories <= most
    share = SAMPLED_SHARE * (game.max_return or 1.0)
    tolerance = 1e-6 * min(game.span or 1.0, 1.0) if exact else share
    settings = config.oracle_settings
    if by_episodes and isinstance(settings, SampledConfig):
        config = config.with_oracle_settings(settings.for_sampled_game())
    return dataclasses.replace(
        config,
        evaluation="exact" if exact else "sampled",
        payoff_error=config.payoff_error if exact or config.payoff_error is not None else share,
        meta_solver=meta_solver,
        evaluation_solver=config.evaluation_solver or ("least_exploitable" if programmed else SAME),
        horizon=config.horizon or _horizon(config),
        init=config.init or STARTS.get(config.oracle, "scratch"),
        tolerance=tolerance if config.tolerance is None else config.tolerance,
    )


def _horizon(config: RunConfig) -> int | None:
    """Self-play takes the expansion's share of a run. There is none without self-play: a run that
    goes on for longer is one that was planned so."""
    expansion = EXPANSIONS[config.expansion]
    if "self_play" not in expansion.uses:
        return None
    return max(1, math.floor(expansion.self_play_share * config.iterations))


def check_solvable(config: RunConfig, game: Rules) -> None:
    """Raises SettingsError if a setting is not for this game."""
    if game.num_histories is None:
        _check_without_tree(config)
    for option, name in (
        ("meta-solver", config.meta_solver),
        ("evaluation-solver", config.measuring_solver or config.meta_solver),
    ):
        solver = solver_of(name)
        _check_fits(
            f"{option} {name}", solver, config, game,
            instead=f"; use --{option} mgcce, or another for any number of players",
        )  # fmt: skip
        if solver.symmetric and not config.symmetric:
            raise SettingsError(
                f"{option} {name} is for games whose players share one population; add --symmetric"
            )
    expansion = EXPANSIONS[config.expansion]
    _check_fits(f"expansion {config.expansion}", expansion, config, game)
    if expansion.num_players and solver_of(config.meta_solver).joint:
        raise SettingsError(
            f"expansion {config.expansion} needs players who draw their policies independently; "
            f"with meta-solver {config.meta_solver} they draw together"
        )
    if config.symmetric and not expansion.symmetric:
        raise SettingsError(
            f"expansion {config.expansion} needs a separate population for each player; leave out "
            "--symmetric"
        )
    if is_conditional(config.oracle) and config.expansion != "hierarchy":
        raise SettingsError(
            f"oracle {config.oracle} continues to train all policies in every iteration; add "
            "--expansion hierarchy"
        )
    if "self_play" in expansion.uses and not _is_plain(config.oracle):
        raise SettingsError(
            f"expansion {config.expansion} trains a network of its own for each policy, and those "
            f"of oracle {config.oracle} are something else; use --oracle ppo"
        )
    tabulated = getattr(config.oracle_settings, "tabulated", None)
    if config.network.normalize_observations and (is_enumerated(config.oracle) or tabulated):
        what = f"{config.oracle}.tabulated" if tabulated else f"oracle {config.oracle}"
        raise SettingsError(
            f"network.normalize_observations needs a learner that observes, and {what} looks at "
            "the whole game"
        )
    _check_critic(config, expansion, bool(tabulated))
    if config.diversity and tabulated is False:
        raise SettingsError(
            f"diversity {config.diversity} rewards actions at info states; oracle {config.oracle} "
            f"sees all info states only with --{config.oracle}.tabulated"
        )
    if tabulated and game.num_players > 2 and solver_of(config.meta_solver).joint:
        raise SettingsError(
            f"{config.oracle}.tabulated needs opponents who draw their policies independently; "
            f"with meta-solver {config.meta_solver} they draw together"
        )


def _check_critic(config: RunConfig, expansion: Expansion, tabulated: bool) -> None:
    """Raises SettingsError if something in the run cannot learn from a central critic, or needs
    one."""
    learners = [("self-play", config.self_play)] if "self_play" in expansion.uses else []
    critic = config.network.critic
    if critic == "own":
        if learners == [("self-play", "mirror")]:
            raise SettingsError(
                "self-play mirror needs the values of all actions; add --network.critic central"
            )
        return
    begun = config.origin is not None  # with networks that may have come from self-play
    if critic == "self_play" and not learners and not begun:
        raise SettingsError(
            f"network.critic self_play is for self-play, and expansion {config.expansion} has none"
        )
    if critic == "central" and expansion.best_responses:
        learners.append(("oracle", config.oracle))
    for kind, name in learners:
        if name not in (*CENTRAL_ORACLES, *CENTRAL_SELF_PLAY):
            raise SettingsError(
                f"network.critic {critic} is a value that advantages are taken from, and {kind} "
                f"{name} takes none; use {', '.join((*CENTRAL_ORACLES, *CENTRAL_SELF_PLAY))}"
            )
    if tabulated and critic == "central":
        raise SettingsError(
            f"network.critic central sees what players see in episodes, and "
            f"{config.oracle}.tabulated looks at info states; leave out one of them"
        )


def _is_plain(oracle: str) -> bool:
    """Whether an oracle's policies are networks that any other learner can train."""
    return not (is_tabular(oracle) or is_conditional(oracle) or is_world_model(oracle))


def _check_fits(
    choice: str,
    plug_in: MetaGameSolver | Expansion,
    config: RunConfig,
    game: Rules,
    instead: str = "",
) -> None:
    """Raises SettingsError if a solver or an expansion is for other numbers of players, or for
    zero-sum games only. `instead` is said where the number of players is wrong."""
    if plug_in.num_players not in (None, game.num_players):
        raise SettingsError(
            f"{choice} is for {plug_in.num_players} players and {config.game} is for "
            f"{game.num_players}{instead}"
        )
    if plug_in.zero_sum and not game.is_constant_sum:
        raise SettingsError(f"{choice} is for zero-sum games, and {config.game} is not zero-sum")


def _check_without_tree(config: RunConfig) -> None:
    """Raises SettingsError if a setting needs an enumerated game."""
    sampled = config.evaluation == "sampled"
    why = "measured by episodes" if sampled else "too large for that"
    oracle = config.oracle_settings
    expansion = EXPANSIONS[config.expansion]
    solvers = {
        name: solver_of(name) for name in (config.meta_solver, config.measuring_solver) if name
    }
    for name, needs_tree, instead in (
        (
            f"oracle {config.oracle}",
            is_enumerated(config.oracle) and (sampled or not works_on_forms(config.oracle)),
            "ppo",
        ),
        (
            f"{config.oracle}.tabulated",
            getattr(oracle, "tabulated", None) is True,
            f"--no-{config.oracle}.tabulated",
        ),
        (
            f"expansion {config.expansion}",
            expansion.exact and (sampled or not expansion.on_form or not is_tabular(config.oracle)),
            "best_response",
        ),
        (f"diversity {config.diversity}", config.diversity is not None, "none"),
        ("symmetric", config.symmetric, "a population of each player's own"),
        *((f"solver {name}", sampled and solver.exact, "nash") for name, solver in solvers.items()),
        *(
            (
                f"solver {name}, whose best responses answer recommendations",
                sampled and solver.concept == "ce",
                "mgcce",
            )
            for name, solver in solvers.items()
        ),
    ):
        if needs_tree:
            raise SettingsError(
                f"{name} needs a game that is enumerated, and {config.game} is {why}; use {instead}"
            )
