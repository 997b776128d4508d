"""Small sets of the UCR and UEA archives, out of a wheel that carries them."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

from recurrent_cells.errors import UserError
from recurrent_cells.files import write_atomically

# Only unpacked, never installed: it needs other versions of NumPy and pandas.
WHEEL = "aeon==1.6.0"
MEMBER = re.compile(r"aeon/datasets/data/[^/]+/((?!UnitTest)\w+)_(TRAIN|TEST)\.ts")


def download(folder: Path) -> Path:
    """Have pip fetch the wheel into a folder; raises UserError if it cannot."""
    asked = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", WHEEL]
    result = subprocess.run([*asked, "--dest", str(folder)], capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if result.returncode != 0 or not wheels:
        lines = result.stderr.strip().splitlines() or ["there is no wheel"]
        said = next((line for line in lines if line.startswith("ERROR")), lines[-1])
        raise UserError(f"pip download {WHEEL}: {said[:200]}\nThe files of any set will do: data.root=FOLDER")
    return wheels[0]


def unpack(wheel: Path, folder: Path) -> list[str]:
    """Write the .ts files of a wheel to `folder`/NAME/; the names of the sets.

    Raises:
        UserError: if the wheel is damaged, or the folder cannot be written.
    """
    names = set()
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.namelist():
                if found := MEMBER.fullmatch(member):
                    name, part = found.groups()
                    write_atomically(folder / name / f"{name}_{part}.ts", archive.read(member))
                    names.add(name)
    except zipfile.BadZipFile as error:
        raise UserError(f"{wheel}: damaged ({error}); fetch it again") from None
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror})") from None
    return sorted(names)
