"""Agents for Leduc poker as strangers may write them: good ones, bad ones, and four that misbehave.

In OpenSpiel's Leduc poker 0 folds, 1 calls and 2 raises. Cards are numbered in pairs: 0 and 1 are
jacks, 2 and 3 queens, 4 and 5 kings.
"""

import re

FOLD, CALL, RAISE = range(3)


def private(observation):
    """The own card's rank, from 0 to 2."""
    return int(re.search(r"Private: (\d)", observation.text).group(1)) // 2


def public(observation):
    """The public card's rank; None before it is dealt."""
    found = re.search(r"Public: (\d)", observation.text)
    return int(found.group(1)) // 2 if found else None


def has_pair(observation):
    return private(observation) == public(observation)


def chosen(action, legal_actions):
    return action if action in legal_actions else CALL


def calls(observation, legal_actions, player, rng):
    return CALL


def raises(observation, legal_actions, player, rng):
    return chosen(RAISE, legal_actions)


def folds(observation, legal_actions, player, rng):
    return chosen(FOLD, legal_actions)


def random(observation, legal_actions, player, rng):
    return rng.choice(legal_actions)


def kings(observation, legal_actions, player, rng):
    strong = private(observation) == 2 or has_pair(observation)
    return chosen(RAISE if strong else CALL, legal_actions)


def tight(observation, legal_actions, player, rng):
    if has_pair(observation):
        return chosen(RAISE, legal_actions)
    weak = private(observation) < 2 and public(observation) is not None
    return chosen(FOLD if weak else CALL, legal_actions)


def bluffs(observation, legal_actions, player, rng):
    weak = private(observation) == 0 and not has_pair(observation)
    return chosen(RAISE if weak or has_pair(observation) else CALL, legal_actions)


def mixes(observation, legal_actions, player, rng):
    share = (0.1, 0.3, 0.6)[private(observation)] + 0.4 * has_pair(observation)
    return chosen(RAISE if rng.random() < share else CALL, legal_actions)


class Alternates:
    """Calls and raises in turn: it remembers the episode."""

    def __init__(self):
        self.decisions = 0

    def restart(self):
        self.decisions = 0

    def act(self, observation, legal_actions, player, rng):
        self.decisions += 1
        return chosen(RAISE if self.decisions % 2 else CALL, legal_actions)


def first_policy(game):
    """An OpenSpiel policy, which the arena makes a table of."""
    from open_spiel.python import policy  # here, not above: it takes the others half a second each

    return policy.FirstActionPolicy(game)


def random_bot(game, player, rng):
    """An OpenSpiel bot."""
    from open_spiel.python.bots import uniform_random

    return uniform_random.UniformRandomBot(player, rng)


def crashes(observation, legal_actions, player, rng):
    raise ValueError(f"I have not learned what {observation.text} is")


def hangs(observation, legal_actions, player, rng):
    while True:
        pass


def cheats(observation, legal_actions, player, rng):
    return 3


def eats(observation, legal_actions, player, rng):
    eaten = []
    while True:
        eaten.append(bytearray(1 << 24))
