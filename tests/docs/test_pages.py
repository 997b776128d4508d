"""The site: what is made from the package is whole, and the pages need nothing from outside."""

import importlib.util
import re
import subprocess
import sys

import pytest

from docs import pages, reference
from recurrent_cells.cli import COMMANDS
from recurrent_cells.config.rules import at_least
from recurrent_cells.config.schema import SET_BY_SWEEPS, schema_fields
from recurrent_cells.models.cells import Option
from recurrent_cells.models.cells.lstm import LSTM
from src import REPOSITORY
from tests.support import within


def test_every_key_has_a_row_with_all_there_is_to_know():
    rows = {cells[1]: cells[2:-1] for cells in map(cells_of, reference.keys().splitlines()) if len(cells) > 2}
    for name, item in schema_fields():
        if name not in {f"sweep.{key}" for key in SET_BY_SWEEPS}:
            meaning, allowed, default, kind = rows[f"`{name}`"]
            assert meaning.removesuffix(" †") == item.metadata["meaning"]
            assert meaning.endswith("†") == item.metadata["block"]
            assert allowed
            assert default
            assert kind
    assert rows["`model.hidden_size`"][1:] == ["an integer of at least 1", "`128`", "integer"]


def cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)]


def test_settings_of_one_cell_are_listed(monkeypatch):
    monkeypatch.setattr(LSTM, "options", {"heads": Option(4, "heads of attention", at_least(1))})
    line = "| `model.options.heads` | heads of attention | an integer of at least 1 | `4` | `model=lstm` |"
    assert line in reference.cells().splitlines()


def test_every_command_and_its_help_are_listed():
    text = reference.commands()
    assert re.findall(r"^### (.*)$", text, flags=re.MULTILINE) == list(COMMANDS)
    assert "margin: how much worse is as good as equal" in text


def test_a_study_is_listed_with_its_first_paragraph_and_none_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(reference, "REPOSITORY", tmp_path)
    assert reference.studies() == "There is none yet."
    (tmp_path / "docs" / "studies").mkdir(parents=True)
    (tmp_path / "docs" / "studies" / "gates.md").write_text("# Do gates help?\n\nThey do.\n\nMore.\n")
    assert reference.studies() == "## [Do gates help?](studies/gates.md)\n\nThey do."


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """The pages as they are handed to MkDocs."""
    site = tmp_path_factory.mktemp("site") / "docs"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "SITE", site)
        pages.main()
    return site


def test_links_of_the_pages_stay_within_the_site(collected):
    for page in collected.rglob("*.md"):
        for target in re.findall(r"\]\(([^)#\s]+)", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)):
            assert target.startswith("https://") or (page.parent / target).resolve().exists(), f"{page}: {target}"
    assert (collected / "measured" / "solo.md").exists()
    assert (collected / "contributing.md").exists()


def test_drawings_take_the_colours_of_their_page(collected):
    text = (collected / "concepts.md").read_text()
    assert text.count("<svg") == len(list((REPOSITORY / "docs" / "drawings").glob("*.svg"))) == 6
    assert "<style>" not in text


@pytest.fixture(scope="module")
def site(collected, tmp_path_factory):
    """The built site; a warning fails the build."""
    if importlib.util.find_spec("mkdocs") is None or importlib.util.find_spec("material") is None:
        pytest.skip("no MkDocs Material: the extra docs")
    folder = tmp_path_factory.mktemp("built")
    (folder / "mkdocs.yml").write_text((REPOSITORY / "mkdocs.yml").read_text().replace("build/docs", str(collected)))
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", folder / "mkdocs.yml"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder / "site"


def test_the_site_needs_nothing_from_outside(site):
    html = [file.read_text() for file in site.rglob("*.html")]
    assert len(html) > 40
    for page in html:
        assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)=\"?(https?:)?//", page)


@pytest.mark.slow
def test_search_works_on_a_page_from_the_disk(site, browser):
    page = browser.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((site / "index.html").as_uri())

    def found() -> bool:
        page.fill("input.md-search__input", "")
        page.type("input.md-search__input", "hidden_size")
        page.wait_for_timeout(1000)
        return bool(page.query_selector(".md-search-result__item a[href*='keys.html']"))

    within(60, found)  # what is typed before the index is read finds nothing
    assert all(url.startswith("file://") for url in asked)
