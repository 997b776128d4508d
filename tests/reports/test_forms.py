"""A report in other forms than its page: data, a table for a paper, a PDF."""

import shutil
from functools import partial

import pandas as pd
import pytest

from recurrent_cells import curves, trials, verdict
from recurrent_cells.cli.report import main
from tests.support import refusal
from tests.written_sweeps import Made


@pytest.fixture
def report(make_sweep, undrawn, tmp_path, capsys):
    """`report("csv")` reports on a sweep of two cells with three seeds; the files that are written beside the page."""

    def written(form):
        parent = make_sweep(*(Made(cell, seed, 0.9 + seed / 100) for cell in ("gru", "lstm") for seed in range(3)))
        main([f"format={form}"])
        folder = tmp_path / "reports" / parent
        said = capsys.readouterr().out.splitlines()
        assert f"Report: {folder}/report.html" in said
        files = [folder / line.rpartition("/")[2] for line in said if line.startswith(f"Written: {folder}/")]
        assert all(file.stat().st_size > 0 for file in files)
        return files

    return written


@pytest.mark.slow
@pytest.mark.parametrize(("form", "read"), [("csv", pd.read_csv), ("parquet", pd.read_parquet)])
def test_trials_curves_and_verdict_are_written_as_data(report, form, read):
    files = report(form)
    assert [file.name for file in files] == [f"{name}.{form}" for name in ("trials", "curves", "verdict")]
    found = [read(file) for file in files]
    for written, frame in zip(found, [trials(), curves(), verdict()], strict=True):
        assert list(written.columns) == list(frame.columns)
        assert len(written) == len(frame) > 0
    exact = partial(pytest.approx, rel=1e-15)  # pandas 2 reads a number's last digit otherwise
    assert found[0]["test/acc"].tolist() == exact(trials()["test/acc"].tolist())
    assert found[1]["value"].tolist() == exact(curves()["value"].tolist())
    assert found[2]["conclusion"].tolist() == verdict()["conclusion"].tolist()


def test_latex_has_the_table_and_the_verdict(report):
    (file,) = report("latex")
    text = file.read_text()
    assert r"\begin{tabular}{lrrrrrr}" in text
    assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == 1
    assert r"GRU & 91.00 $\pm$ " in text
    assert r"test/acc (\%)" in text
    assert "GRU and LSTM" in text.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("chromium"), reason="no Chromium")
def test_the_page_is_printed(report):
    (file,) = report("pdf")
    assert file.read_bytes().startswith(b"%PDF-")


def test_without_a_browser_no_pdf_is_begun(make_sweep, monkeypatch, tmp_path, capsys):
    make_sweep(Made("gru", 0))
    monkeypatch.setenv("PATH", "")
    assert "format=pdf: no browser prints it" in refusal(main, ["format=pdf"], capsys)
    assert not (tmp_path / "reports").exists()


def test_another_form_is_refused(make_sweep, capsys):
    assert "format=docx: allowed is html, " in refusal(main, ["format=docx"], capsys)
