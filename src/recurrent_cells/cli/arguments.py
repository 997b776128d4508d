"""The `key=value` command lines of the entries that need no Hydra."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import nan

from recurrent_cells.config.rules import Rule
from recurrent_cells.errors import UserError
from recurrent_cells.paths import command

BAD_INPUT = 2
HIGHEST_PORT = 65535


@dataclass(frozen=True)
class Arguments:
    """What a command line gives: `values` by key, in their order; `keys` has the words for what each may be."""

    keys: Mapping[str, str]
    values: Mapping[str, Sequence[str]]

    def get(self, key: str) -> str | None:
        """The last value of a key, None if it is not given."""
        return self.values[key][-1] if self.values[key] else None

    def required(self, key: str) -> str:
        """Raises UserError if the key is not given."""
        value = self.get(key)
        if value is None:
            raise UserError(f"{key}= is missing; allowed is {self.keys[key]}")
        return value

    def one_of(self, key: str, choices: Sequence[str]) -> str:
        """The value of a key, the first choice if it is not given; raises UserError for another than the choices."""
        value = self.get(key) or choices[0]
        if value not in choices:
            raise UserError(f"{key}={value}: allowed is {self.keys[key]}")
        return value

    def number(self, key: str, rule: Rule) -> float | None:
        """The value of a key, None if it is not given; raises UserError unless it is a number that the rule allows."""
        text = self.get(key)
        if text is None:
            return None
        try:
            value = float(text)
        except ValueError:
            value = nan
        if not rule.allows(value):
            raise UserError(f"{key}={text}: allowed is {rule.words}")
        return value


def run_command(
    description: str | None, keys: Mapping[str, str], arguments: Sequence[str], act: Callable[[Arguments], None]
) -> None:
    """Print the help, or do what the arguments ask for; exits with 2 on bad input.

    Args:
        keys: what may be given, with the words for its value.
        act: does it; what it raises as UserError is bad input.
    """
    lines = [str(description), *(f"  {key}: {words}" for key, words in keys.items())]
    answer("\n".join(lines), arguments, lambda: act(parse(arguments, keys)))


def answer(help_text: str, arguments: Sequence[str], act: Callable[[], None]) -> None:
    """Print the help if the arguments ask for it, else act; exits with 2 on a UserError."""
    if any(argument in ("-h", "--help") for argument in arguments):
        print(help_text)
        return
    try:
        act()
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(BAD_INPUT)


def port_of(name: str, arguments: Sequence[str], default: int, lowest: int = 0) -> int:
    """The port that the only argument of a command names, PORT or port=PORT; raises UserError for anything else."""
    text = (list(arguments) or [str(default)])[0].removeprefix("port=")
    is_number = text.isascii() and text.isdecimal()
    if len(arguments) > 1 or not is_number or not lowest <= int(text) <= HIGHEST_PORT:
        given = f"{command(name)} {' '.join(arguments)}"
        raise UserError(f"{given}: allowed is one port, a number from {lowest} to {HIGHEST_PORT}")
    return int(text)


def parse(arguments: Sequence[str], keys: Mapping[str, str]) -> Arguments:
    """Raises UserError for a key there is not, or one without a value."""
    values: dict[str, list[str]] = {key: [] for key in keys}
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key not in keys:
            known = ", ".join(f"{name}=" for name in keys)
            raise UserError(f"{argument}: no such key; {f'allowed are {known}' if keys else 'there is none'}")
        if not value:
            raise UserError(f"{argument}: a value is missing; allowed is {keys[key]}")
        values[key].append(value)
    return Arguments(keys, values)
