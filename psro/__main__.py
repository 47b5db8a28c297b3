"""`python -m psro`, which is `psro`."""

from psro.cli import main

if __name__ == "__main__":
    main()
