"""The PSRO family: what an iteration adds, what best responses are rewarded for, and names."""
