"""Games and profiles as files of Gambit."""
