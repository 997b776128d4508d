"""Collect the pages of the site in build/docs: python -m docs.pages.

Pages are the files of docs/, results of benchmarks/, CONTRIBUTING.md and CHANGELOG.md. On the way links are made to
point into the site, drawings are set into the text, and `<!-- make docs: NAME -->` becomes what the package says.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from docs import reference
from src import REPOSITORY

SITE = REPOSITORY / "build" / "docs"
RESULTS = REPOSITORY / "benchmarks" / "results"
ELSEWHERE = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
PAGES_AND_PICTURES = (".md", ".png", ".svg", ".css", ".js", ".json", ".ipynb")
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#\s]*)(#[^)\s]*)?\)")
MARK = re.compile(r"<!-- make docs: (\w+) -->")


def main() -> None:
    """Write build/docs anew."""
    places = dict(site_places())
    shutil.rmtree(SITE, ignore_errors=True)
    for source, place in places.items():
        target = SITE / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".md":
            target.write_text(page(source, places))
        else:
            shutil.copy(source, target)


def site_places() -> Iterator[tuple[Path, str]]:
    """Every file of the site, with its place there."""
    for folder, place in ((REPOSITORY / "docs", ""), (RESULTS, "measured")):
        for file in sorted(folder.rglob("*")):
            if file.suffix in PAGES_AND_PICTURES:
                yield file, str(Path(place) / file.relative_to(folder))
    for name, place in ELSEWHERE.items():
        yield REPOSITORY / name, place


def page(source: Path, places: dict[Path, str]) -> str:
    """The text of a page of the site."""
    text = MARK.sub(lambda mark: reference.SECTIONS[mark[1]](), source.read_text())
    text = text.replace(r"\<", "&lt;")  # as reports write it, which Python-Markdown does not read
    here = Path(places[source]).parent

    def link(match: re.Match[str]) -> str:
        picture, words, target, anchor = match.groups("")
        file = (source.parent / target).resolve()
        if not target or file not in places:
            return match[0]
        if picture and file.suffix == ".svg":
            return drawing(file, words)
        return f"{picture}[{words}]({os.path.relpath(places[file], here)}{anchor})"

    return LINK.sub(link, text)


def drawing(file: Path, words: str) -> str:
    """A drawing as part of its page, whose colours it takes; by itself it has a style of its own."""
    svg = re.sub(r"<style>.*?</style>|<\?xml.*?\?>", "", file.read_text(), flags=re.DOTALL).strip()
    one_line = " ".join(line.strip() for line in svg.splitlines() if line.strip())
    return f'<figure class="drawing" role="img" aria-label="{words}">{one_line}</figure>'


if __name__ == "__main__":
    main()
