"""The game between populations: its payoff table, meta-strategies, meta-solvers and ratings."""
