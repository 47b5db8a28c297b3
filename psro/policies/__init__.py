"""Recurrent and tabular policies, populations of them, and what policies start from."""
