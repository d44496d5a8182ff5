"""Plain text of an HTML page."""

from __future__ import annotations

import re
import textwrap
from html.parser import HTMLParser

SKIPPED = {"script", "style", "head", "nav", "header", "footer", "svg", "button", "form"}
BLOCKS = {"p", "div", "section", "article", "table", "ul", "ol", "dl", "blockquote", "h1", "h2", "h3", "h4", "h5", "pre"}
LINES = {"br", "tr", "dt", "dd"}
WIDTH = 90


class _Reader(HTMLParser):
    """Collects blocks: (verbatim, text)."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[tuple[bool, str]] = []
        self._text: list[str] = []
        self._skipped = self._verbatim = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._skipped += tag in SKIPPED
        if tag in BLOCKS or tag in LINES or tag == "li":
            self.flush()
        self._verbatim += tag == "pre"
        if tag == "li" and not self._skipped:
            self._text.append("- ")

    def handle_endtag(self, tag: str) -> None:
        if tag in BLOCKS or tag == "li":
            self.flush()
        self._verbatim = max(0, self._verbatim - (tag == "pre"))
        self._skipped = max(0, self._skipped - (tag in SKIPPED))

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self._text.append(data)

    def flush(self) -> None:
        """Ends the block at hand."""
        text = "".join(self._text)
        self._text = []
        if text.strip(" \n-"):
            self.blocks.append((self._verbatim > 0, text))


def text_of(page: str) -> str:
    """Blocks of ``page`` with a blank line between them, prose wrapped, code as it stands."""
    reader = _Reader()
    reader.feed(page)
    reader.flush()
    parts = []
    for verbatim, text in reader.blocks:
        if verbatim:
            parts.append(textwrap.indent(text.strip("\n"), "    "))
        else:
            parts.append(textwrap.fill(re.sub(r"\s+", " ", text.replace("\u00b6", "")).strip(), WIDTH))
    return "\n\n".join(parts)
