"""Imports point one way, and MLflow is tracking's alone."""

import ast
from pathlib import Path

import recurrent_cells

PACKAGE = Path(recurrent_cells.__file__).parent
# From the ground up; rooms of one floor do not know each other.
FLOORS = (
    {"errors", "files", "imports", "lengths", "paths", "seeds"},
    {"interrupts", "memory", "scratch", "tables"},
    {"config"},
    {"data", "tasks", "tracking", "statistics"},
    {"models"},
    {"training"},
    {"trial"},
    {"sweeps"},
    {"reports", "inference"},
    {"serving"},
    {"cli"},
)


def imports(path: Path) -> set[str]:
    """The modules that a file imports, at its top, within functions and for types."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room_of(module: str) -> str:
    return module.split(".")[1] if module.count(".") else ""


def files() -> list[Path]:
    return [
        path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem not in ("__init__", "__main__")
    ]


def test_no_room_imports_from_a_floor_above_its_own():
    floor_of = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
    upward = []
    for path in files():
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for module in imports(path):
            other = room_of(module) if module.startswith("recurrent_cells.") else room
            if other != room and floor_of[other] >= floor_of[room]:
                upward.append(f"{path.relative_to(PACKAGE)} imports {module}")
    assert upward == []


def test_mlflow_is_imported_by_tracking_alone():
    outside = [
        f"{path.relative_to(PACKAGE)} imports {module}"
        for path in files()
        for module in imports(path)
        if module.split(".")[0] == "mlflow" and path.relative_to(PACKAGE).parts[0] != "tracking"
    ]
    assert outside == []
