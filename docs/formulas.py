"""A hook of mkdocs: formulas, which `pymdownx.arithmatex` marks, become MathML when the site is
built. Browsers draw that themselves, so that no script is needed, from a network or not."""

import html
import re

from latex2mathml.converter import convert

_INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
_BLOCK = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)


def on_page_content(content, page, config, files):
    content = _INLINE.sub(lambda match: convert(html.unescape(match[1])), content)
    return _BLOCK.sub(
        lambda match: (
            f'<div class="formula">{convert(html.unescape(match[1]), display="block")}</div>'
        ),
        content,
    )
