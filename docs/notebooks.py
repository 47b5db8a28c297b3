"""A hook of mkdocs: a line `<!-- notebook: NAME -->` becomes examples/NAME.ipynb, its cells and
what they printed."""

import json
import re
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
_MARK = re.compile(r"^<!-- notebook: (\w+) -->$", re.MULTILINE)


def on_page_markdown(markdown, page, config, files):
    return _MARK.sub(lambda match: as_markdown(match[1]), markdown)


def as_markdown(name):
    """A notebook as a page."""
    notebook = json.loads((EXAMPLES / f"{name}.ipynb").read_text(encoding="utf-8"))
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(_fenced(source, "python"))
        parts += [shown for output in cell["outputs"] if (shown := _output(output))]
    return "\n\n".join(parts) + f"\n\nThis page is the notebook `examples/{name}.ipynb`.\n"


def _output(output):
    if output["output_type"] == "stream":
        return _fenced("".join(output["text"]).rstrip("\n"), "text")
    data = {kind: "".join(value) for kind, value in output.get("data", {}).items()}
    if "image/png" in data:
        picture = data["image/png"].replace("\n", "")
        return f'<img alt="the figure of this cell" src="data:image/png;base64,{picture}">'
    if "text/html" in data:
        html = re.sub(r"<style.*?</style>", "", data["text/html"], flags=re.DOTALL)
        html = re.sub(r'<table border="1" class="dataframe">', "<table>", html)
        lines = [line.strip() for line in html.splitlines() if line.strip()]
        return "<div>" + "\n".join(lines) + "</div>"
    return _fenced(data.get("text/plain", ""), "text")


def _fenced(text, kind):
    return f"````{kind}\n{text}\n````"
