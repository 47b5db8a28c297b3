"""The command `psro`, which also knows the plug-ins of this folder."""

import own_cell  # noqa: F401  importing one registers it
import own_game  # noqa: F401
import own_meta_solver  # noqa: F401
import own_oracle  # noqa: F401

from psro.cli import command

if __name__ == "__main__":
    command()
