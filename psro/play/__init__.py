"""A person against a population, in the terminal or on a page."""
