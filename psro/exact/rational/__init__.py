"""Equilibria in exact arithmetic: Python's integers and fractions, no rounding."""
