"""The loop of PSRO, and the code that answers its requests."""
