"""Config files in folders of the user's own."""

import pytest

from recurrent_cells.config.files import LimitedFiles
from recurrent_cells.errors import UserError


@pytest.fixture
def load(tmp_path):
    """`load(content)` is the config of a file with this content."""

    def loaded(content: bytes):
        (tmp_path / "mine.yaml").write_bytes(content)
        return LimitedFiles("test", str(tmp_path)).load_config("mine").config

    return loaded


def test_a_config_file_is_read_as_hydra_reads_it(load):
    assert load(b"# @package _global_\nseed: &a 3\nmodel: {hidden_size: *a}") == {
        "seed": 3,
        "model": {"hidden_size": 3},
    }


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"seed: 1\na: [1, 2\nb: }{", "line 3: expected "),
        (b"seed: 1\nseed: 2", "line 2: found duplicate key seed"),
        (b"seed: !!python/name:os.system", "line 1: could not determine a constructor for the tag"),
        (b"seed: \xff\xfe", "unacceptable character #x00ff: invalid start byte"),
        (b"model: &a {head: *a}", "maximum recursion depth exceeded"),
        (b"3", "Invalid loaded object type: int"),
        (b"seed: " + b"9" * 5000, "Exceeds the limit (4300 digits) for integer string conversion"),
    ],
)
def test_a_file_that_is_no_config_is_named_with_the_line_of_the_fault(load, tmp_path, content, reason):
    with pytest.raises(UserError) as caught:
        load(content)
    assert str(caught.value).startswith(f"{tmp_path}/mine.yaml: cannot be read as YAML of a config ({reason}")
    assert len(str(caught.value).splitlines()) == 1


def test_aliases_that_unfold_without_end_are_refused(load):
    doubled = "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
    with pytest.raises(UserError, match=r"mine\.yaml: its aliases unfold to [\d,]+ values; allowed are 100,000$"):
        load(f"a0: &a0 [x]\n{doubled}".encode())
