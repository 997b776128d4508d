"""What the package says of itself, as Markdown: keys, choices, commands."""

import contextlib
import inspect
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import Field, fields, is_dataclass
from importlib import import_module
from typing import Any

from omegaconf import OmegaConf

from recurrent_cells.cli import COMMANDS
from recurrent_cells.config.help import options
from recurrent_cells.config.schema import SET_BY_SWEEPS, Config, allowed, as_typed, default_of, schema_fields
from recurrent_cells.sweeps.search.settings import RULES, SearchSettings
from recurrent_cells.tables import CELLS, POOLS
from src import REPOSITORY

HEAD = ("key", "meaning", "allowed", "default", "type")
TYPES = {"str": "text", "int": "integer", "float": "number", "bool": "boolean"}
GROUPS = ("model", "data", "optimizer", "trainer", "experiment", "problem", "sweep")


def keys() -> str:
    """Every key of the schema, a table for each section."""
    sections = [("", "The trial", "Keys of no section.")]
    sections += [(f"{it.name}.", it.name, str(it.type.__doc__)) for it in fields(Config) if is_section(it)]
    return "\n\n".join(
        f"## {title}\n\n{about}\n\n{table(HEAD, (key_row(name, item) for name, item in of_section(prefix)))}"
        for prefix, title, about in sections
    )


def is_section(item: Field[Any]) -> bool:
    return isinstance(item.type, type) and is_dataclass(item.type)


def of_section(prefix: str) -> Iterator[tuple[str, Field[Any]]]:
    for name, item in schema_fields():
        section, _, last = name.rpartition(".")
        if prefix == (f"{section}." if section else "") and (prefix != "sweep." or last not in SET_BY_SWEEPS):
            yield name, item


def key_row(name: str, item: Field[Any]) -> Sequence[str]:
    about = item.metadata["meaning"] + (" †" if item.metadata["block"] else "")
    return code(name), about, allowed(name), code(as_typed(default_of(item))), in_words(item.type)


def in_words(annotation: Any) -> str:
    """A type as a reader of config files knows it."""
    text = annotation.__name__ if isinstance(annotation, type) and "[" not in str(annotation) else str(annotation)
    text = text.replace("typing.", "").replace("None", "null")
    if text.startswith(("list", "tuple")):
        return "list"
    if text.startswith("dict"):
        return "mapping"
    parts = [TYPES.get(part, part) for part in re.split(r"\s*\|\s*", text)]
    return ", ".join(parts[:-1]) + f" or {parts[-1]}" if len(parts) > 1 else parts[0]


def cells() -> str:
    """The cells, with the settings that each has of its own."""
    rows = [(code(name), CELLS[name].label, CELLS[name].source) for name in CELLS.names]
    own = [
        (code(f"model.options.{key}"), it.meaning, it.rule.words, code(as_typed(it.default)), code(f"model={name}"))
        for name in CELLS.names
        for key, it in CELLS[name].options.items()
    ]
    settings = table(("key", "meaning", "allowed", "default", "of"), own) if own else "No cell has any yet."
    return f"{table(('cell', 'called', 'source'), rows)}\n\n### Settings of one cell alone\n\n{settings}"


def choices() -> str:
    """The files of each group of conf/, with what their first lines say."""
    return "\n\n".join(f"### {group}\n\n{table(('choice', 'about'), _choices(group))}" for group in GROUPS)


def _choices(group: str) -> Iterator[Sequence[str]]:
    plus = "+" if group == "sweep" else ""
    for name in options(group):
        file = REPOSITORY / "conf" / group / f"{name}.yaml"
        lines = file.read_text().splitlines() if file.exists() else []
        notes = [line.removeprefix("#").strip() for line in lines if line.startswith("# ") and "@package" not in line]
        yield code(f"{plus}{group}={name}"), " ".join(notes) or _differences(group, lines)


def _differences(group: str, lines: Sequence[str]) -> str:
    """What a file without a note sets otherwise than the schema."""
    values = OmegaConf.to_container(OmegaConf.create("\n".join(lines)))
    assert isinstance(values, dict)
    usual = {name: default_of(item) for name, item in of_section(f"{group}.")}
    changed = {str(name): value for name, value in values.items() if usual.get(f"{group}.{name!s}") != value}
    return ", ".join(code(f"{name}={as_typed(value)}") for name, value in changed.items())


def launchers() -> str:
    """The pools, each with its keys of `hydra.launcher`."""
    return "\n\n".join(_launcher(name) for name in POOLS.names)


def _launcher(name: str) -> str:
    pool = POOLS[name]
    meanings = arguments_of(pool)
    rows = [
        (code(f"hydra.launcher.{it.name}"), meanings[it.name], code(as_typed(it.default)), in_words(it.annotation))
        for it in inspect.signature(pool, eval_str=True).parameters.values()
    ]
    about = summary(pool)
    return f"### hydra/launcher={name}\n\n{about}\n\n{table(('key', 'meaning', 'default', 'type'), rows)}"


def searches() -> str:
    """The keys of `hydra/sweeper=optuna`."""
    meanings = arguments_of(SearchSettings)
    usual = SearchSettings()
    rows = []
    for item in fields(SearchSettings):
        default = getattr(usual, item.name)
        shown = code(as_typed(list(default) if isinstance(default, tuple) else default))
        rows.append((code(f"hydra.sweeper.{item.name}"), meanings[item.name], RULES[item.name].words, shown))
    return table(("key", "meaning", "allowed", "default"), rows)


def commands() -> str:
    """The help of every command; that of `train`, which lists the keys, in its first line alone."""
    return "\n\n".join(f"### {name}\n\n```text\n{_help(name)}\n```" for name in COMMANDS)


def _help(name: str) -> str:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        import_module(f"recurrent_cells.cli.{name}").main(["--help"])
    text = said.getvalue().strip()
    return text.splitlines()[0] if name == "train" else text


def targets() -> str:
    """The targets of the Makefile."""
    found = re.findall(r"^([a-z-]+):.*?## (.*)$", (REPOSITORY / "Makefile").read_text(), flags=re.MULTILINE)
    return table(("target", "what it does"), ((code(f"make {name}"), about) for name, about in found))


def studies() -> str:
    """The studies of docs/studies: the title of each, and its first paragraph."""
    files = sorted((REPOSITORY / "docs" / "studies").glob("*.md"))
    return "\n\n".join(_study(file.name, file.read_text()) for file in files) or "There is none yet."


def _study(name: str, text: str) -> str:
    title, _, rest = text.lstrip().partition("\n")
    return f"## [{title.lstrip('# ')}](studies/{name})\n\n{rest.strip().partition(chr(10) * 2)[0]}"


def summary(thing: Any) -> str:
    return " ".join(inspect.getdoc(thing).partition("\n\nArgs:")[0].split())  # type: ignore[union-attr]


def arguments_of(thing: Any) -> Mapping[str, str]:
    """The meanings of arguments by name, from a docstring; several names before a colon share one."""
    _, _, listed = str(inspect.getdoc(thing)).partition("Args:\n")
    entries = re.findall(r"^    (\w[\w, ]*): (.*(?:\n     +.*)*)", listed, flags=re.MULTILINE)
    return {name: " ".join(words.split()).removesuffix(".") for names, words in entries for name in names.split(", ")}


def code(text: str) -> str:
    return f"`{text}`" if text else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


SECTIONS = {make.__name__: make for make in (keys, cells, choices, launchers, searches, commands, targets, studies)}
