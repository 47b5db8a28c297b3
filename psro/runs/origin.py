"""Where a run's first policies came from (`RunConfig.start_from`), as its config says."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from psro.errors import SettingsError
from psro.oracles.checks import check_types
from psro.policies import networks
from psro.policies.networks.settings import NetworkConfig

KINDS = ("network", "world_model", "table")
"""The kinds of policies that can be guests (`psro.policies.guests`)."""
MOST_GUESTS = 8
"""Most kinds of guests of a run: all of them are computed whenever a policy acts."""
MOST_POLICIES = 10_000
"""Most policies of each player that a run starts from."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Guest:
    """A kind of policies that are not the run's own network: its settings, as in `RunConfig`.
    Tables have none."""

    kind: str
    cell: str = "none"
    hidden_size: int = 1
    dtype: str = "float32"
    network: NetworkConfig = dataclasses.field(default_factory=NetworkConfig)
    latents: int = 1
    classes: int = 1

    def __post_init__(self):
        check_types(self, "guest.")
        if self.kind not in KINDS:
            raise SettingsError(f"guest.kind = {self.kind!r} must be one of {', '.join(KINDS)}")
        if self.dtype not in networks.DTYPES:
            raise SettingsError(f"guest.dtype = {self.dtype!r} is not known")
        for name in ("hidden_size", "latents", "classes"):
            if not 1 <= getattr(self, name) <= 16_384:
                raise SettingsError(f"guest.{name} must be between 1 and 16,384")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Origin:
    """What `start_from` held when the run was made.

    Attributes:
        sha256: checksum of the policies, in hexadecimal.
        size: policies of each player.
        guests: the kinds of those that the run's own network cannot hold.
    """

    sha256: str
    size: int
    guests: tuple[Guest, ...] = ()

    def __post_init__(self):
        check_types(self, "origin.")
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise SettingsError("origin.sha256 must be 64 hexadecimal digits")
        if not 1 <= self.size <= MOST_POLICIES:
            raise SettingsError(f"origin.size must be between 1 and {MOST_POLICIES:,}")
        if len(self.guests) > MOST_GUESTS:
            raise SettingsError(f"a run has at most {MOST_GUESTS} kinds of guests")

    @classmethod
    def from_json(cls, fields: Any) -> Origin:
        """From what `dataclasses.asdict` gives. Raises SettingsError if it is something else."""
        own = _checked(cls, fields, "origin")
        guests = own.get("guests", ())
        if not isinstance(guests, list | tuple):
            raise SettingsError("origin.guests must be a list")
        return cls(**{**own, "guests": tuple(map(_guest, guests))})


def _guest(fields: Any) -> Guest:
    own = _checked(Guest, fields, "a guest")
    network = _checked(NetworkConfig, own.get("network", {}), "guest.network")
    return Guest(**{**own, "network": NetworkConfig(**network)})


def _checked(kind: type, fields: Any, what: str) -> Mapping[str, Any]:
    """The fields, if their names are those of a dataclass; the required ones among them."""
    known = dataclasses.fields(kind)
    if not isinstance(fields, Mapping) or not fields.keys() <= {field.name for field in known}:
        raise SettingsError(f"{what} must be a table of its settings")
    for field in known:
        bare = field.default is dataclasses.MISSING is field.default_factory
        if bare and field.name not in fields:
            raise SettingsError(f"{what} has no {field.name}")
    return fields
