"""Links of the README and the pages lead somewhere, on the site and in the repository."""

import re
from pathlib import Path

import pytest

from src import REPOSITORY

PAGES = [
    *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((REPOSITORY / "docs").rglob("*.md")),
]
RESULTS = sorted((REPOSITORY / "benchmarks" / "results").glob("*.md"))


def links(path: Path) -> list[tuple[Path, str]]:
    """The files that a page links to, each with the heading that is meant, if one is."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    found = re.findall(r"\]\(([^)\s]*)\)", text)
    inside = [it.partition("#") for it in found if not it.startswith("https://")]
    return [((path.parent / file).resolve() if file else path, heading) for file, _, heading in inside]


def anchors(path: Path) -> set[str]:
    """The headings of a page, as links name them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), flags=re.MULTILINE)
    words = (re.sub(r"[^\w\s-]", "", re.sub(r"\[(.*?)\]\(.*?\)", r"\1", it)) for it in headings)
    return {"-".join(it.lower().split()) for it in words}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_links_lead_to_files_and_headings(path):
    for file, heading in links(path):
        assert file.exists(), file
        assert not heading or heading in anchors(file), f"{file}#{heading}"


def test_every_page_is_in_the_menu():
    menu = (REPOSITORY / "mkdocs.yml").read_text()
    missing = [it.name for it in (REPOSITORY / "docs").glob("*.md") if f"- {it.name}" not in menu]
    assert not missing, "name it under nav in mkdocs.yml"


def test_every_measurement_is_listed():
    listed = {file for file, _ in links(REPOSITORY / "docs" / "measurements.md")}
    missing = [it.name for it in RESULTS if it not in listed]
    assert not missing, "give each a sentence in docs/measurements.md"


def test_files_that_sentences_name_are_there():
    for page in PAGES:
        for name in re.findall(r"`((?:conf|src|docs|benchmarks)/[\w/.]*)`", page.read_text()):
            if "NAME" not in name:
                assert (REPOSITORY / name).exists(), f"{page.name}: {name}"
