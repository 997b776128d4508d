"""The lines of JSON that a check writes as it goes, and what they say so far."""

import json
from pathlib import Path
from typing import Any

Line = dict[str, Any]


class Lines:
    """A file of lines of JSON.

    There is a line for each point (stage, step, point, seconds, and result or error), for each step that has come to
    its end, and for each call.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def add(self, line: Line) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def read(self) -> list[Line]:
        """All whole lines: a machine that went away may have left a part of one."""
        found = []
        for text in self.path.read_text().splitlines() if self.path.exists() else []:
            try:
                found.append(json.loads(text))
            except ValueError:
                continue
        return found

    def points(self, step: str) -> dict[str, Line]:
        """The latest line of each point of a step."""
        return {line["point"]: line for line in self.read() if line.get("step") == step and "point" in line}

    def is_over(self, step: str) -> bool:
        """Whether all points of a step have been tried."""
        return any(line.get("step") == step and "over" in line for line in self.read())

    def calls(self) -> list[Line]:
        return [line for line in self.read() if "call" in line]
