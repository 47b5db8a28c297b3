"""`psro publish`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from psro.cli.arguments import Folder, explained
from psro.cli.folders import one_run, proposed
from psro.cli.process import hint, printable, say

Target = Annotated[Positional[str], arg(metavar="TARGET")]


@explained
def publish(folder: Folder, target: Target) -> None:
    """Write a run as a folder that a model hub expects: its files, a model card, and a page to play
    on where the game allows one. psro.load and all commands read the folder.

    Args:
        folder: An experiment folder, or a file that `psro export` wrote.
        target: The new folder, which must not exist; or hf://OWNER/NAME to upload it to the Hugging
            Face Hub. Uploading needs the package huggingface_hub (pip install 'psro[hub]') and its
            login.
    """
    from psro.play import publishing

    source = one_run(folder, "psro publish")
    if target.startswith(publishing.HUB):
        address = publishing.upload(source, target)
        print(printable(address))
        return
    written = publishing.write(source, Path(target))
    print(printable(str(written)))
    say(f"it holds {', '.join(sorted(path.name for path in written.iterdir()))}")
    hint(proposed("eval", target))
