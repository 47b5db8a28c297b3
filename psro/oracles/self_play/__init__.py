"""Self-play: all players learn at once, each against the others' current policies.

A learner is one file and one line in `LEARNERS` (`psro.oracles.self_play.known`), and a config
dataclass and one line in `SELF_PLAY` (`psro.oracles.self_play_settings`). It is called as an oracle
is (`psro.oracles.base`), with `Jobs.progress`.
"""
