"""A user's own series in a table: `data=table`."""

import bz2
import gzip

import numpy as np
import pandas
import pytest

from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data.splits import load_splits
from recurrent_cells.errors import UserError


def table(num_series=20):
    """Series 0, 1, … of 2, 3, 4, 2, 3, … steps, of which the first feature says the series."""
    rows = [
        {"machine": f"m{n}", "second": step, "heat": 10.0 * n + step, "load": n % 3, "state": ["ok", "worn"][n % 2]}
        for n in range(num_series)
        for step in range(2 + n % 3)
    ]
    return pandas.DataFrame(rows)


@pytest.fixture
def written(tmp_path):
    """`written(frame, …)` is the config of a file with this table."""

    def config(frame, name="mine.csv", **settings):
        path = tmp_path / name
        frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_csv(path, index=False)
        return of_file(path, **settings)

    return config


def of_file(path, **settings):
    columns = {"series": "machine", "time": "second", "target": "state"}
    own = {"root": str(path), "val_size": None, "split": "stratified", "batch_size": 4, "normalize": "none"}
    return DataConfig(name="table", **columns | own | settings)


@pytest.mark.parametrize("name", ["mine.csv", "mine.parquet"])
def test_a_table_gives_a_series_of_each_name(written, name):
    splits = load_splits(written(table(), name))
    assert splits.class_names == ("ok", "worn")
    assert [len(split) for split in (splits.train, splits.val, splits.test)] == [13, 3, 4]
    assert splits.num_features == 2
    for split in (splits.train, splits.val, splits.test):
        for sequence, length, target in zip(split.sequences, split.lengths, split.targets, strict=True):
            number, load = round(float(sequence[0, 0]) / 10), sequence[:length, 1]
            assert length == 2 + number % 3
            assert target == number % 2
            assert sequence[:length, 0].tolist() == [10 * number + step for step in range(length)]
            assert (load == number % 3).all()
            assert (sequence[length:] == 0).all()


def test_features_are_taken_in_the_order_asked_for(written):
    assert load_splits(written(table(), features=["load"])).num_features == 1
    splits = load_splits(written(table(), features=["load", "heat"]))
    assert set(splits.train.sequences[:, 0, 0].tolist()) == {0, 1, 2}


def test_series_may_be_interleaved_and_compressed(written, tmp_path):
    expected = load_splits(written(table())).digest
    path = tmp_path / "mine.csv.gz"
    path.write_bytes(gzip.compress(table().sort_values("second", kind="stable").to_csv(index=False).encode()))
    assert load_splits(of_file(path)).digest == expected


def test_whole_numbers_are_classes_and_others_are_predicted(written):
    whole = load_splits(written(table().assign(state=[int(name[1:]) % 2 + 7 for name in table()["machine"]])))
    assert whole.class_names == ("7", "8")
    numbers = load_splits(written(table().assign(state=table()["machine"].str[1:].astype(float) / 2), "b.csv"))
    assert (numbers.num_classes, numbers.num_outputs) == (0, 1)


def test_times_may_be_dates(written):
    dates = pandas.Timestamp("2024-01-01") + pandas.to_timedelta(table()["second"], unit="D")
    for name in ("mine.csv", "mine.parquet"):
        assert load_splits(written(table().assign(second=dates), name)).num_features == 2


def test_an_empty_cell_is_a_missing_number(written):
    frame = table()
    frame.loc[1, "heat"] = np.nan
    with pytest.raises(
        UserError, match=r"sequence 0, step 1, feature 0 is nan, .*; data.missing=zero\|mean\|last fill"
    ):
        load_splits(written(frame))
    assert load_splits(written(frame, missing="last")).train.sequences.isfinite().all()


@pytest.mark.parametrize("column", ["machine", "state"])
def test_a_column_of_lists_is_refused(written, column):
    config = written(table().assign(**{column: [[1, 2]] * len(table())}), name="mine.parquet")
    with pytest.raises(UserError, match=f"the column {column} holds lists; each row has one value$"):
        load_splits(config)


@pytest.mark.parametrize(
    ("frame", "settings", "words"),
    [
        (table(), {"series": "engine"}, "no column engine; there are machine, second, heat, load, state"),
        (table(), {"features": ["head"]}, "no column head; there are machine, second"),
        (table(), {"target": "machine"}, "data.series, data.time and data.target name the column machine"),
        (table(), {"features": ["heat", "heat"]}, "data.target and data.features name the column heat"),
        (table(), {"features": ["heat", "state"]}, "data.target and data.features name the column state"),
        (table(), {"features": ["machine"]}, "the column machine holds no numbers, as a feature must"),
        (table()[["machine", "second", "state"]], {}, "no column of numbers beside machine, second, state"),
        (table().iloc[::-1], {}, "series m19 has the second 1 after 2; sort rows by second, each once"),
        (table().assign(second=0), {}, "series m0 has the second 0 twice; sort rows by second, each once"),
        (table().assign(state=table()["second"]), {}, "series m0 has several values of state; each series has one"),
        (table().assign(machine=table()["machine"].where(table()["machine"] != "m1")), {}, "row 3 has no machine"),
        (table().assign(state=table()["state"].where(table()["machine"] != "m1")), {}, "row 3 has no state"),
        (table().iloc[:0], {}, "the table has no rows"),
        (table().assign(heat=np.inf), {}, "sequence 0, step 0, feature 0 is inf"),
    ],
)
def test_tables_that_will_not_do_are_refused_in_a_line(written, frame, settings, words):
    config = written(frame, **settings)
    with pytest.raises(UserError) as caught:
        load_splits(config)
    assert str(caught.value).startswith(f"{config.root}: {words}")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b'a,b\n"1'),
        ("a.csv", b"\xff\xfe\x00"),
        ("a.parquet", b"PAR1"),
        ("a.csv.gz", b"a,b"),
        ("a.csv.gz", gzip.compress(b"a,b", mtime=0)[:-4]),
        ("a.csv.gz", b"\x1f\x8b\x08" + bytes(7) + bytes(range(256))),
        ("a.csv.bz2", bz2.compress(b"a,b\n1,2\n")),
        ("a.csv", b"a\n1,2,3\n4,5\n6\n7,8,9,1\n"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        load_splits(of_file(path))
    assert str(caught.value).startswith(f"{path}: not a table of .csv or .parquet, or damaged (")
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 300


def test_memory_is_asked_for_before_a_table_is_read(written, monkeypatch):
    config = written(table())
    monkeypatch.setattr("recurrent_cells.memory.memory", lambda: 100)
    with pytest.raises(UserError, match=r"mine.csv: needs .* of memory, .*; give a smaller file$"):
        load_splits(config)


@pytest.mark.parametrize("name", ["mine.csv.gz", "mine.parquet"])
def test_a_packed_table_asks_for_the_memory_of_the_whole(written, monkeypatch, name):
    config = written(table().assign(state="x" * 100_000), name)
    monkeypatch.setattr("recurrent_cells.memory.memory", lambda: 50_000)
    with pytest.raises(UserError, match=rf"{name}: needs .* of memory, .*; give a smaller file$"):
        load_splits(config)


def test_names_of_classes_that_are_bytes_are_utf_8(written):
    frame = table()
    with pytest.raises(UserError, match=r"mine.parquet: the column state holds bytes that are not UTF-8$"):
        load_splits(written(frame.assign(state=[b"\xff"] * len(frame)), "mine.parquet"))


def test_of_a_long_name_the_beginning_is_shown(written):
    frame = table()
    with pytest.raises(UserError, match=r"series mmm.*… has several values of state") as caught:
        load_splits(written(frame.assign(machine="m" * 1000, second=range(len(frame)))))
    assert len(str(caught.value)) < 400


def test_an_id_that_is_a_number_in_one_place_and_a_word_in_another_is_one_series(tmp_path):
    count, steps = 20_000, 20
    ids = [*(str(number) for number in range(count - 1)), "A1"]
    rows = [
        f"{name},{step},{number % 7},{'ok' if number % 2 else 'worn'}"
        for step in range(steps)
        for number, name in enumerate(ids)
    ]
    (tmp_path / "mine.csv").write_text("\n".join(["machine,second,heat,state", *rows]))
    splits = load_splits(of_file(tmp_path / "mine.csv"))
    assert sum(len(split) for split in (splits.train, splits.val, splits.test)) == count
    assert splits.num_steps == steps


def test_a_row_index_that_was_saved_is_no_feature(tmp_path):
    path = tmp_path / "mine.csv"
    table().to_csv(path)
    assert load_splits(of_file(path)).num_features == 2


@pytest.mark.parametrize(("column", "shown"), [(["ERR", *["1.5"] * 39], "ERR"), (["1,5"] * 40, "1,5")])
def test_numbers_that_cannot_be_read_are_refused_rather_than_left_out(written, column, shown):
    frame = table()
    frame["load"] = (column * 2)[: len(frame)]
    with pytest.raises(UserError, match=f"column load .* {shown}"):
        load_splits(written(frame))
    assert load_splits(written(frame, features=["heat"])).num_features == 1


def test_a_column_of_words_is_left_out(written):
    assert load_splits(written(table().assign(place="hall 7"))).num_features == 2
