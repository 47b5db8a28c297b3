"""Games that are stepped on the host: OpenSpiel's states, and environments of others."""
