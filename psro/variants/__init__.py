"""The PSRO family: expansions, diversity terms, and the published variants by name."""
