"""A stranger's agent in a process of its own: `python guest.py FILE NAME GAME ROOT MEBIBYTES
MODULES`, where MODULES is JSON: the file of each module that registers the game, and the folder
that it is imported from.

This file is run, and imported by nobody. It imports nothing of psro, so that an agent's process is
small and starts in a tenth of a second; `games` is imported for OpenSpiel's policies and bots only.

Requests come as lines of JSON on one pipe, replies leave on another; the standard streams are the
null device, so whatever the agent prints reaches nobody. Nothing is pickled. Each reply is
`{"action": number}`, `{"said": text}` for something else than a number, or `{"failed": kind,
"words": text}`; and `"cpu"`, the processor seconds of the process until then.
"""

from __future__ import annotations

import base64
import contextlib
import importlib
import importlib.util
import inspect
import json
import operator
import os
import resource
import signal
import sys
import time

import numpy as np

MOST_WORDS = 300
"""Characters of an error that are told."""


SIGNATURES = (
    "an agent is act(observation, legal_actions, player, rng), and what makes an OpenSpiel policy "
    "or bot takes (game), (game, player) or (game, player, rng)"
)


class Observation(np.ndarray):
    """What a player sees at its decision, float32, with the same in words.

    Attributes:
        text: the info state as OpenSpiel or the game's file prints it.
        names: the name of each legal action, in the order of the legal actions.
    """

    def __new__(cls, numbers, text="", names=()):
        made = np.asarray(numbers, np.float32).view(cls)
        made.text, made.names = text, list(names)
        return made

    def __array_finalize__(self, source):
        self.text = getattr(source, "text", "")
        self.names = getattr(source, "names", [])


class Unusable(Exception):
    """The file holds no agent of this name."""


class Function:
    """`act(observation, legal_actions, player, rng)`, of a module or of an object for each seat."""

    def __init__(self, make):
        self._make, self._acts, self._seen = make, {}, {}

    def answer(self, asked):
        player, number = asked["player"], asked["view"]
        if "observation" in asked:
            view = Observation(asked["observation"], asked["text"], asked["names"]), asked["legal"]
            if number >= 0:
                self._seen[number] = view
        else:
            view = self._seen[number]
        if player not in self._acts:
            self._acts[player] = [self._make(), None, None]
        agent, episode, rng = self._acts[player]
        if episode != asked["episode"]:
            rng = np.random.default_rng(asked["seed"])
            self._acts[player][1:] = asked["episode"], rng
            if hasattr(agent, "restart"):
                agent.restart()
        act = getattr(agent, "act", agent)
        observation, legal = view
        return action_said(act(observation.copy(), list(legal), player, rng))


class Course:
    """Where the current episode of each seat is, as OpenSpiel's state."""

    def __init__(self, game):
        self._game, self._states = game, {}

    def begins(self, asked):
        """Whether a request is the first of its seat in an episode."""
        before = self._states.get(asked["player"])
        return before is None or before[0] != asked["episode"]

    def to(self, asked, told=None):
        """The state that a request names. `told(state, player, action)` hears of each move of the
        others that is new."""
        player, history = asked["player"], asked["history"]
        fresh = self.begins(asked)
        state = self._game.new_initial_state() if fresh else self._states[player][1]
        for action in history[len(state.history()) :]:
            mover = state.current_player()
            if told is not None and mover >= 0 and mover != player:
                told(state, mover, action)
            state.apply_action(action)
        self._states[player] = asked["episode"], state
        return state


class Policy:
    """OpenSpiel policies, one for each seat: tables where the game has a tree, or asked at each
    decision."""

    def __init__(self, policies, game):
        from games.readers.policy_tables import probabilities_at

        self._policies, self._course, self._rngs = policies, Course(game), {}
        self._ask = probabilities_at

    def table(self, name):
        import games
        from games.readers.policy_tables import behaviours_of

        tables = behaviours_of(games.load(name), self._policies)
        return {"table": [base64.b64encode(own.tobytes()).decode() for own in tables]}

    def answer(self, asked):
        player = asked["player"]
        if self._course.begins(asked):
            self._rngs[player] = np.random.default_rng(asked["seed"])
        state = self._course.to(asked)
        chances = self._ask(self._policies[player], state, player)
        actions, weights = zip(*chances.items(), strict=True)
        weights = np.asarray(weights, float)
        return action_said(self._rngs[player].choice(actions, p=weights / weights.sum()))


class Bot:
    """OpenSpiel bots, one for each seat."""

    def __init__(self, bots, game):
        self._bots, self._course = bots, Course(game)

    def answer(self, asked):
        bot = self._bots[asked["player"]]
        if self._course.begins(asked):
            bot.restart()
        state = self._course.to(asked, getattr(bot, "inform_action", None))
        return action_said(bot.step(state.clone()))


def action_said(said):
    """The reply of an agent that has returned `said`."""
    try:
        return {"action": operator.index(said)}
    except TypeError:
        return {"said": brief(repr(said))}


def brief(text):
    """The beginning of a text that an agent has made, on one line."""
    line = " ".join(str(text)[: 4 * MOST_WORDS].split())
    return line.encode("utf-8", "replace").decode()[:MOST_WORDS]


def failure(error):
    kind = "memory" if isinstance(error, MemoryError) else "crash"
    words = "" if isinstance(error, MemoryError) else brief(f"{type(error).__name__}: {error}")
    return {"failed": kind, "words": words}


def agent_of(file, name, game_name, modules):
    """The agent of this name. Raises Unusable if there is none, or whatever the file raises."""
    folder = os.path.dirname(os.path.abspath(file))
    sys.path.insert(0, folder)
    module_name = "agent_of_the_arena"
    specification = importlib.util.spec_from_file_location(module_name, file)
    module = sys.modules[module_name] = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    if not hasattr(module, name):
        others = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        listed = f"; it has {', '.join(others[:8])}" if others else ""
        raise Unusable(f"has nothing that is called {name}{listed}")
    own = os.path.realpath(file)
    others = {name: folder for name, (path, folder) in modules.items() if path != own}
    return kind_of(getattr(module, name), lambda: openspiel_game(game_name, others))


def kind_of(made, load_game):
    """What an object of a stranger is: a function, policies or bots. Only policies and bots need
    OpenSpiel's game."""
    is_class = inspect.isclass(made)
    if hasattr(made, "act"):
        return Function(made if is_class else lambda: made)
    if not is_class and (hasattr(made, "action_probabilities") or hasattr(made, "step")):
        return for_openspiel(lambda player: made, load_game())
    if not callable(made):
        raise Unusable(f"is of type {type(made).__name__}, and not an agent")
    names = parameters_of(made)
    if len(names) == 4 and not is_class:
        return Function(lambda: made)
    if len(names) not in (1, 2, 3):
        raise Unusable(f"takes {len(names)} arguments: {SIGNATURES}")
    game = load_game()
    return for_openspiel(lambda player: made(*arguments_for(names, game, player)), game)


def for_openspiel(make, game):
    """The policies or bots that `make(player)` gives for all seats."""
    made = [make(player) for player in range(game.num_players())]
    if all(hasattr(one, "action_probabilities") for one in made):
        return Policy(made, game)
    if all(hasattr(one, "step") for one in made):
        return Bot(made, game)
    raise Unusable(f"gives no OpenSpiel policy or bot, but {type(made[0]).__name__}: {SIGNATURES}")


def parameters_of(function):
    """The names of the positional arguments that a callable needs."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # written in C
        return list("1234")
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return list("1234")
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    possible = [p for p in parameters if p.kind in positional]
    needed = [p.name for p in possible if p.default is p.empty]
    return list("1234") if len(needed) < 4 <= len(possible) and not needed else needed


def arguments_for(names, game, player):
    """What a factory is called with: the game, the seat and random numbers, by the names of its
    arguments, or else in this order."""
    rng = np.random.RandomState(player)  # noqa: NPY002 (what OpenSpiel's bots ask for)
    known = {"game": game, "player": player, "player_id": player, "seat": player, "rng": rng}
    if all(name in known for name in names):
        return [known[name] for name in names]
    return [game, player, rng][: len(names)]


def openspiel_game(name, modules):
    """OpenSpiel's game, after the import of the modules that register it, each from its folder."""
    for module, folder in modules.items():
        sys.path.append(folder)
        importlib.import_module(module)
    if "::" in name:
        raise Unusable("is for OpenSpiel, which does not know this game")
    from games.readers import files
    from games.readers.sources import playable, source_of

    return source_of(name).openspiel() if files.is_file(name) else playable(name)


def limited(mebibytes):
    """Limits memory, and ends with the parent."""
    size, most = mebibytes << 20, resource.getrlimit(resource.RLIMIT_DATA)[1]
    size = size if most == resource.RLIM_INFINITY else min(size, most)
    resource.setrlimit(resource.RLIMIT_DATA, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def main():
    file, name, game_name, root, mebibytes, modules, requests, replies = sys.argv[1:]
    asked, said = os.fdopen(int(requests), "r", 1), os.fdopen(int(replies), "w", 1)
    sys.path.append(root)

    def reply(content):
        content["cpu"] = time.process_time()
        said.write(json.dumps(content) + "\n")
        said.flush()

    agent = None
    limited(int(mebibytes))
    try:
        agent = agent_of(file, name, game_name, json.loads(modules))
        reply({"is": type(agent).__name__})
    except Unusable as error:
        reply({"unusable": brief(error)})
        return
    except BaseException as error:  # whatever a stranger's file raises, SystemExit too
        content, error = failure(error), None
        reply(content)
        return
    for line in asked:
        content = None
        try:
            request = json.loads(line)
            content = agent.table(request["table"]) if "table" in request else agent.answer(request)
        except BaseException as error:
            content = failure(error)
        reply(content)


if __name__ == "__main__":
    main()
