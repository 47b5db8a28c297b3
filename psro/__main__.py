"""`python -m psro`, which is `psro`."""

from psro.cli import command

if __name__ == "__main__":
    command()
