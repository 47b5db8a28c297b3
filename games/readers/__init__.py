"""From a name or a file to a game: OpenSpiel, Gambit files, payoff tables; and the tree cache."""
