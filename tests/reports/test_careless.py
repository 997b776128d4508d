"""What less care would have said."""

from recurrent_cells.reports.careless import careless_section
from recurrent_cells.reports.compose import contest_of
from recurrent_cells.reports.document import Table
from recurrent_cells.sweeps.results import read_sweeps
from recurrent_cells.tracking.artifacts import Question, write_question
from tests.written_sweeps import Made

RATE, BIAS = "optimizer.lr", "model.forget_bias"
TUNED = {("0.0", "0.1"): 0.5, ("0.0", "0.2"): 0.75, ("1.0", "0.1"): 0.875, ("1.0", "0.2"): 0.625}


def test_the_best_on_test_is_of_each_configurations_own_tuning(store, make_sweep):
    tuning = [Made("lstm", 9, accuracy, params={BIAS: bias, RATE: rate}) for (bias, rate), accuracy in TUNED.items()]
    compared = [
        Made("lstm", seed, 0.8 + 0.01 * seed * float(bias), params={BIAS: bias, RATE: "0.1"})
        for bias in ("0.0", "1.0")
        for seed in range(3)
    ]
    parent = make_sweep(*tuning, *compared)
    chosen = [trial.fingerprint for trial in compared if trial.seed == 0]
    asked = Question("done", [], 0.0, 0, chosen, [trial.fingerprint for trial in tuning], [RATE])
    write_question(store, parent, asked)
    opened, data = read_sweeps(store, parent)
    contest = contest_of(opened, data)
    records = [trial.record for trial in data.finished if trial.record.fingerprint in asked.tuning]
    *_, table = careless_section(contest.competitions, records, [RATE], contest.metric)
    assert isinstance(table, Table)
    ((pair, verdict, agree, best),) = table.rows
    assert pair == "LSTM forget_bias 1.0 over LSTM forget_bias 0.0"
    assert (verdict, agree, best) == ("not told apart", "2 of 3", "+12.50")
    assert careless_section(contest.competitions, [], [RATE], contest.metric) == []
