"""Published members of the PSRO family as settings of a run: `psro run --variant NAME`.

A variant is a name for a set of options. Each option can also be set alone; options that a variant
does not name keep their values. To add a variant, write its new part (a meta-solver, an expansion,
a diversity term or an initialisation: docs/variants.md), and one entry here.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Variant:
    """Settings by the names of `RunConfig`, and where they were published."""

    source: str
    settings: Mapping[str, Any]


PUBLISHED = types.MappingProxyType({"evaluation_solver": "same", "init": "scratch"})
"""Settings of every variant that does not set them itself. The package's defaults may differ."""


def _variant(source: str, **settings: Any) -> Variant:
    return Variant(source=source, settings=types.MappingProxyType({**PUBLISHED, **settings}))


_KNOWS_INFO_STATES = {"tabulated": True}
"""Settings for oracles that sample, so that they can use rewards or tables at info states."""

_SOFT = {"temperature": 1.0, "anneal_entropy_weight": False, "entropy_weight": 0.05}
"""Settings of ppo for soft best responses: they keep a part of their exploration."""

_LOW_TEMPERATURE = {"entropy_weight": 0.2, "last_entropy_weight": 0.02}
"""Settings of mmd whose policies turn around an equilibrium in the end, to be averaged."""

_CENTRAL = {"critic": "central", "width": 64}
"""Settings of networks whose values see what all players have seen, in training."""

DEFAULT = "default"
"""The name for the settings that `psro run` uses without a variant."""

VARIANTS: Mapping[str, Variant] = types.MappingProxyType(
    {
        DEFAULT: Variant(
            source="the settings that psro run has without a variant",
            settings=types.MappingProxyType({}),
        ),
        "psro": _variant("Lanctot et al. 2017, arXiv:1711.00832", meta_solver="nash"),
        "self_play": _variant("Heinrich et al. 2015; Lanctot et al. 2017", meta_solver="last"),
        "last_k": _variant("self-play against the latest few policies", meta_solver="last_k"),
        "fictitious_play": _variant("Brown 1951; Heinrich et al. 2015", meta_solver="uniform"),
        "psro_prd": _variant(
            "Lanctot et al. 2017, arXiv:1711.00832", meta_solver="projected_replicator"
        ),
        "psro_rrd": _variant(
            "Wang and Wellman 2023, arXiv:2302.04928", meta_solver="regularized_replicator"
        ),
        "psro_qre": _variant("McKelvey and Palfrey 1995", meta_solver="qre"),
        "alpha_psro": _variant("Muller et al. 2020, arXiv:1909.12823", meta_solver="alpha_rank"),
        "psro_rn": _variant(
            "Balduzzi et al. 2019, arXiv:1901.08106", expansion="rectified", levels=8
        ),
        "odo": _variant("Dinh et al. 2021, arXiv:2103.07780", meta_solver="hedge"),
        "ado": _variant(
            "McAleer et al. 2022, arXiv:2201.07700, exact", meta_solver="least_exploitable"
        ),
        "apsro": _variant("McAleer et al. 2022, arXiv:2201.07700", expansion="anytime"),
        "epsro": _variant(
            "Zhou et al. 2022, arXiv:2202.00633",
            expansion="anytime",
            regret_minimiser="hedge",
            init="previous",
        ),
        "sp_psro": _variant(
            "McAleer et al. 2022, arXiv:2207.06541",
            expansion="stochastic",
            evaluation_solver="least_exploitable",
        ),
        "xdo": _variant("McAleer et al. 2021, arXiv:2103.06426", expansion="extensive"),
        "dpp_psro": _variant(
            "Perez-Nieves et al. 2021, arXiv:2103.07927",
            diversity="expected_cardinality",
            ppo=_KNOWS_INFO_STATES,
        ),
        "bd_rd": _variant(
            "Liu et al. 2021, arXiv:2106.04958", diversity="bd_rd", ppo=_KNOWS_INFO_STATES
        ),
        "psd_psro": _variant(
            "Yao et al. 2023, arXiv:2306.16884", diversity="policy_hull", ppo=_KNOWS_INFO_STATES
        ),
        "fusion_psro": _variant("Lian et al. 2024, arXiv:2405.21027", init="fusion"),
        "p2sro": _variant("McAleer et al. 2020, arXiv:2006.08555", expansion="pipeline"),
        "dch": _variant("Lanctot et al. 2017, arXiv:1711.00832", expansion="hierarchy", levels=8),
        "neupl": _variant(
            "Liu et al. 2022, arXiv:2202.07415",
            oracle="conditional",
            expansion="hierarchy",
            levels=8,
        ),
        "global_psro": _variant("Wang et al. 2026, arXiv:2605.28273", expansion="candidates"),
        "ppo_self_play": _variant(
            "Rudolph et al. 2025, arXiv:2502.08938",
            expansion="self_play",
            self_play="ppo_self_play",
            meta_solver="last",
        ),
        "mmd": _variant(
            "Sokota et al. 2022, arXiv:2206.05825",
            expansion="self_play",
            self_play="mmd",
            meta_solver="last",
        ),
        "mirror": _variant(
            "Sokota et al. 2022, arXiv:2206.05825, with history values: arXiv:2206.04122",
            expansion="self_play",
            self_play="mirror",
            meta_solver="last",
            evaluation_solver="suffix_average",
            network=_CENTRAL,
        ),
        "rnad": _variant(
            "Perolat et al. 2022, arXiv:2206.15378",
            expansion="self_play",
            self_play="rnad",
            meta_solver="last",
        ),
        "nfsp": _variant(
            "Heinrich and Silver 2016, arXiv:1603.01121",
            expansion="self_play",
            self_play="nfsp",
            meta_solver="last",
        ),
        "psro_soft": _variant(
            "best responses with a bonus for entropy: Fudenberg and Levine 1998, chapter 4",
            meta_solver="projected_replicator",
            init="perturbed",
            ppo=_SOFT,
        ),
        "psro_bundle": _variant(
            "a level bundle method: Lemarechal, Nemirovskii and Nesterov 1995, section 2",
            expansion="bundle",
        ),
        "union": _variant(
            "mirror in self-play, then psro_soft",
            expansion="union",
            self_play="mirror",
            meta_solver="projected_replicator",
            init="perturbed",
            network={"critic": "self_play", "width": 64},
            ppo=_SOFT,
        ),
        "union_fictitious": _variant(
            "mmd in self-play, then fictitious play from it: Brown 1951",
            expansion="fictitious",
            self_play="mmd",
            init="perturbed",
            ppo=_SOFT,
        ),
        "union_average": _variant(
            "mmd in self-play at a low temperature, then fictitious play from its average: "
            "Rakhlin et al. 2012, arXiv:1109.5647; Brown 1951",
            expansion="fictitious_average",
            self_play="mmd",
            mmd=_LOW_TEMPERATURE,
            init="perturbed",
            ppo=_SOFT,
        ),
        "union_decay": _variant(
            "union_average with newer policies counting more: "
            "Shamir and Zhang 2013, arXiv:1212.1824",
            expansion="fictitious_decay",
            self_play="mmd",
            mmd=_LOW_TEMPERATURE,
            init="perturbed",
            ppo=_SOFT,
        ),
        "jpsro_cce": _variant("Marris et al. 2021, arXiv:2106.09435", meta_solver="mgcce"),
        "jpsro_ce": _variant("Marris et al. 2021, arXiv:2106.09435", meta_solver="mgce"),
    }
)


def unknown_variant(name: Any) -> str:
    """The sentence about a name that is no variant's."""
    near = difflib.get_close_matches(str(name), VARIANTS, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"unknown variant {name!r}; {hint}known: {', '.join(VARIANTS)}"
