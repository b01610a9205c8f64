"""List what built pages would fetch from elsewhere: `check_offline.py docs/_build/html`.

Links which a reader may follow are fine; scripts, styles, fonts, pictures and frames from another
host are not.
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

FETCHED = {"src", "srcset", "poster", "data", "background"}  # of any tag: fetched with the page
FOLLOWED = {"canonical", "search", "next", "prev", "index", "author", "license", "alternate"}
IN_STYLE = re.compile(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)""", re.IGNORECASE)


class _Page(HTMLParser):
    """Collects in `found` what the page it is fed would fetch from another host."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_style = tag == "style"
        values = {name: value or "" for name, value in attrs}
        for name, value in values.items():
            if name == "style":
                self.found += IN_STYLE.findall(value)
            if _is_outside(value) and name in FETCHED:
                self.found.append(value)
        relations = set(values.get("rel", "").lower().split())
        if tag == "link" and _is_outside(values.get("href", "")) and not relations <= FOLLOWED:
            self.found.append(values["href"])

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.found += IN_STYLE.findall(data)

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False


def _is_outside(reference: str) -> bool:
    return re.match(r"\s*(https?:)?//", reference, re.IGNORECASE) is not None


def outside_references(folder: str | Path) -> list[str]:
    """One line `file: address` for each thing that pages in `folder` fetch from another host."""
    found = []
    for file in sorted(Path(folder).rglob("*")):
        if file.suffix == ".html":
            page = _Page()
            page.feed(file.read_text(encoding="utf-8"))
            found += [f"{file}: {address}" for address in page.found]
        elif file.suffix == ".css":
            addresses = IN_STYLE.findall(file.read_text(encoding="utf-8"))
            found += [f"{file}: {address}" for address in addresses]
    return found


if __name__ == "__main__":
    references = outside_references(sys.argv[1])
    sys.exit("\n".join(references) if references else 0)
