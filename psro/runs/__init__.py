"""Runs: settings, folders, files, training with saving and resuming, many seeds, loggers."""
