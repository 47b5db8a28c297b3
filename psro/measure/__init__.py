"""Measurements of trained populations, alone and against each other."""
