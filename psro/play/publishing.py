"""A run as a folder that a model hub expects: the run's own files, a model card, and a page to play
on. `psro.load` reads the folder like any other.

The card is a README.md with metadata in front (Mitchell et al. 2019, arXiv:1810.03993; the Hugging
Face Hub's format). Names that come from files are quoted in it, so that they are only text.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from games.printing import printable
from psro.errors import PsroError
from psro.play import offline
from psro.play.match import MatchError
from psro.runs import archive, disk, experiment, learner
from psro.runs import folder as run_folder
from psro.runs.description import Described
from psro.runs.experiment import Experiment
from psro.runs.export import export
from psro.runs.learner_folder import is_learner
from psro.runs.naming import game_of

HUB = "hf://"
CARD, PAGE = "README.md", "play.html"
MAX_PAGE = 1 << 23
"""A larger page to play on is left out, in bytes."""


class PublishError(PsroError):
    """Something that cannot be published; one sentence says why."""


def write(source: str | os.PathLike, target: Path) -> Path:
    """Writes a run, of a folder or an exported file, to a new folder: all of it or nothing.

    Raises:
        ExperimentError: the run cannot be read, or the folder cannot be made.
    """
    disk.check_free(target, "choose another one")
    with tempfile.TemporaryDirectory(prefix="psro-") as temporary:
        file, copy = Path(temporary) / "run.psro", Path(temporary) / "run"
        export(source, file)
        archive.unpack(file, copy)
        opened = (learner if is_learner(copy) else experiment).load(copy)
        page = _page(opened) if isinstance(opened, Experiment) else None
        with disk.making(target) as aside:
            shutil.copytree(copy, aside, dirs_exist_ok=True)
            disk.write(aside / CARD, model_card(opened, has_page=page is not None))
            if page is not None:
                disk.write(aside / PAGE, page)
    return target


def upload(source: str | os.PathLike, target: str) -> str:
    """Writes a run to a temporary folder, and uploads it to `hf://OWNER/NAME`. Returns the address
    of what is there then.

    Raises:
        PublishError: the target is no such name, huggingface_hub is not installed, or it fails.
    """
    name = target.removeprefix(HUB)
    if not re.fullmatch(r"[\w.-]{1,96}/[\w.-]{1,96}", name, re.ASCII):
        raise PublishError(f"{target!r} is not of the form {HUB}OWNER/NAME")
    try:
        import huggingface_hub as hub
    except ImportError:
        raise PublishError(
            "uploading needs the package huggingface_hub; install it with pip install 'psro[hub]'"
        ) from None
    with tempfile.TemporaryDirectory(prefix="psro-") as temporary:
        folder = write(source, Path(temporary) / "run")
        try:
            hub.create_repo(name, exist_ok=True)
            uploaded = hub.upload_folder(repo_id=name, folder_path=str(folder))
        except Exception as error:  # of the hub, of its network, or of the user's login
            sentence = " ".join(str(error).split())[:300]
            raise PublishError(f"{target} was not uploaded: {sentence}") from None
    return str(uploaded)


def _page(run: Experiment) -> str | None:
    """The page to play on; None where there is none, or where it would be large."""
    try:
        page = offline.page(run)
    except (MatchError, PsroError):
        return None
    return page if len(page) <= MAX_PAGE else None


def model_card(run: Described, *, has_page: bool) -> str:
    """The text of README.md."""
    game, facts = game_of(run.config), run.facts()
    what = "a population of policies" if isinstance(run, Experiment) else "a policy"
    rows = "\n".join(f"| {name} | {in_code(fact)} |" for name, fact in facts.items())
    play = (
        f"\n`{PAGE}` is a page to play against it: open it in a browser; it needs no network.\n"
        if has_page
        else ""
    )
    return f"""---
{_metadata(run, game)}
---

# {in_code(game)}, {what}

Trained with psro, Policy-Space Response Oracles for games of imperfect information.

| | |
|---|---|
{rows}

{_measured(run)}
{play}
## Use

```python
import psro

run = psro.load("FOLDER")  # this folder, after it is downloaded
print(run)
```

```console
$ psro eval FOLDER
$ psro play FOLDER --web
```

## Make it again

`config.json` has all settings, and the seed{_command(run)}.
Loading runs no code from these files: they are JSON, CSV and safetensors.
"""


def _command(run: Described) -> str:
    """What makes a population again, as the rest of a sentence."""
    if not isinstance(run, Experiment):
        return ""
    copy = run_folder.game_file(Path("FOLDER"), run.config)
    game = "" if copy is None else f" --game {copy}"
    return f": `psro run --config FOLDER/config.json{game}`"


def _metadata(run: Described, game: str) -> str:
    """The lines in front. Values are in JSON, which is YAML too."""
    fields: dict[str, Any] = {
        "library_name": "psro",
        "pipeline_tag": "reinforcement-learning",
        "tags": ["psro", "game-theory", "multi-agent", "imperfect-information"],
    }
    if isinstance(run, Experiment) and run.is_exact:
        measured = {"type": "exploitability", "value": run.records[-1].exploitability}
        fields["model-index"] = [
            {
                "name": printable(game),
                "results": [
                    {
                        "task": {"type": "reinforcement-learning"},
                        "dataset": {"name": printable(game), "type": "game"},
                        "metrics": [measured | {"name": "exploitability (exact)"}],
                    }
                ],
            }
        ]
    return "\n".join(f"{name}: {json.dumps(value)}" for name, value in fields.items())


def _measured(run: Described) -> str:
    if not isinstance(run, Experiment):
        return "Its return is the mean of fresh episodes, with its standard error."
    if run.is_exact:
        return (
            "Exploitability is exact: NashConv over the number of players, in units of the game's "
            "payoff. At 0, the mixture is a Nash equilibrium."
        )
    return (
        "Payoffs are measured by episodes, so exploitability is not known here; a lower bound is "
        "what trained best responses gain, with its standard error."
    )


def in_code(text: str) -> str:
    """A text that may come from a file, as code in a cell of a Markdown table."""
    text = printable(text).replace("|", "¦")
    ticks = max(map(len, re.findall("`+", text)), default=0)
    fence, space = "`" * (ticks + 1), " " if ticks else ""
    return f"{fence}{space}{text}{space}{fence}"
