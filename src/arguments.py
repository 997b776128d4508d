"""The `key=value` command lines of the entries that need no Hydra."""

import sys
from collections.abc import Callable, Mapping, Sequence

from src.errors import UserError

BAD_INPUT = 2


def run_command(
    description: str | None, keys: Mapping[str, str], arguments: Sequence[str], act: Callable[[dict[str, str]], None]
) -> None:
    """Print the help, or do what the arguments ask for; exits with 2 on bad input.

    Args:
        keys: what may be given, with the words for its value.
        act: gets the values by key; what it raises as UserError is bad input.
    """
    if any(argument in ("-h", "--help") for argument in arguments):
        print("\n".join([str(description), *(f"  {key}: {words}" for key, words in keys.items())]))
        return
    try:
        act(parse(arguments, keys))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(BAD_INPUT)


def parse(arguments: Sequence[str], keys: Mapping[str, str]) -> dict[str, str]:
    """Raises UserError for a key there is not, or one without a value."""
    chosen: dict[str, str] = {}
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key not in keys:
            raise UserError(f"{argument}: no such key; allowed are {', '.join(f'{name}=' for name in keys)}")
        if not value:
            raise UserError(f"{argument}: a value is missing; allowed is {keys[key]}")
        chosen[key] = value
    return chosen


def one_of(chosen: Mapping[str, str], keys: Mapping[str, str], key: str, choices: Sequence[str]) -> str:
    """The value of a key, the first choice if it is not given; raises UserError for another than the choices."""
    value = chosen.get(key, choices[0])
    if value not in choices:
        raise UserError(f"{key}={value}: allowed is {keys[key]}")
    return value


def required(chosen: Mapping[str, str], keys: Mapping[str, str], key: str) -> str:
    """The value of a key that has no default; raises UserError if it is not given."""
    if key not in chosen:
        raise UserError(f"{key}= is missing; allowed is {keys[key]}")
    return chosen[key]
