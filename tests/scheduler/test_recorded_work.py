"""Runs that execute recorded tests here, in process: labels, outputs, input mutations, elimination."""

import json
from dataclasses import replace

import numpy as np
import pytest
import yaml

from testbudget.cli.main import main
from testbudget.rewards.outputs import outputs_by_test
from testbudget.rewards.problem import NOT_RUN
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.records import TestStatus
from testbudget.traces.tables import read_trace, write_trace


@pytest.fixture
def job(recorded, tmp_path):
    def write(**fields):
        return recorded.write_job(tmp_path / "job.yaml", backend="in_process", **fields)

    return write


def run(*arguments) -> int:
    return main([str(argument) for argument in arguments])


def picks(directory):
    return [json.loads(line) for line in (directory / "picks.jsonl").read_text().splitlines()]


def test_labels_come_from_the_ground_truth_if_not_recorded(recorded, job, tmp_path):
    lines = [
        {"problem": problem.id, "code": problem.prompt + f"    return {expression}\n"}
        for k, problem in enumerate(recorded.problems, start=2)
        for expression in (f"x * {k}", f"x + {k}", "undefined")
    ]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert run("run", job(candidates={"from_file": "own.jsonl"}), "--out", tmp_path / "out") == 0
    for seen in read_trace(tmp_path / "out").problems.values():
        assert seen.correct.tolist() == [True, False, False]


def test_re_executing_a_finished_run_labels_candidates_and_records_outputs(recorded, job, tmp_path):
    wrong = read_trace(recorded.directory)
    mislabelled = {
        problem: replace(seen, correct=~seen.correct) for problem, seen in wrong.problems.items()
    }
    run_directory = tmp_path / "mislabelled"
    run_directory.mkdir()
    write_trace(replace(wrong, directory=run_directory, problems=mislabelled))
    source = {"from_run": str(run_directory)}
    path = job(candidates=source, tests=source, hidden_states=source, cap={"tests": 40})
    assert run("run", path, "--out", tmp_path / "out") == 0
    again, expected = read_trace(tmp_path / "out"), read_trace(recorded.directory)
    for problem, seen in expected.problems.items():
        assert again.problems[problem].correct.tolist() == seen.correct.tolist()
        assert sorted(again.problems[problem].verdicts) == sorted(seen.verdicts)
    assert again.hidden_states.layers == expected.hidden_states.layers
    outputs_by_problem, told = read_outputs(tmp_path / "out"), read_outputs(recorded.directory)
    for problem, recorded_outputs in told.items():
        assert [item.test for item in outputs_by_problem[problem].inputs] == [
            item.test for item in recorded_outputs.inputs
        ]
        assert examples(outputs_by_problem[problem]) == examples(recorded_outputs)


def examples(recorded_outputs):
    return [
        [recorded_outputs.outputs[output].example for output in row] for row in recorded_outputs.results
    ]


def test_a_run_that_does_not_record_outputs_has_no_output_tables(job, tmp_path):
    path = job(execution={"record_outputs": False, "runners": 1})
    assert run("run", path, "--out", tmp_path / "out") == 0
    assert read_outputs(tmp_path / "out") == {}


def test_input_mutations_are_recorded_charged_and_read_again(job, tmp_path):
    path = job(execution={"input_mutations": 3, "runners": 1}, cap={"executions": 100})
    assert run("run", path, "--out", tmp_path / "real") == 0
    records = [
        record
        for seen in read_trace(tmp_path / "real").problems.values()
        for record in seen.verdicts.values()
    ]
    run_pairs = sum(np.count_nonzero(record.verdicts != NOT_RUN) for record in records)
    assert {record.input_mutations for record in records} == {3}
    assert 0 < run_pairs * 4 <= 100
    for recorded_outputs in read_outputs(tmp_path / "real").values():
        assert all(len(part.inputs) == 4 for part in outputs_by_test(recorded_outputs).values())
    content = yaml.safe_load((tmp_path / "real" / "job.yaml").read_text())
    content |= {"backend": "recorded", "tests": {"from_run": "real"}, "candidates": {"from_run": "real"}}
    (tmp_path / "recorded.yaml").write_text(yaml.safe_dump(content))
    assert run("run", tmp_path / "recorded.yaml", "--out", tmp_path / "simulated") == 0
    assert picks(tmp_path / "simulated") == picks(tmp_path / "real")
    assert read_outputs(tmp_path / "simulated").keys() == read_outputs(tmp_path / "real").keys()


def test_elimination_on_recorded_tests_saves_pairs_if_asked_for(job, tmp_path):
    elimination = {"apply_to": "all", "z": 0.5}
    path = job(elimination=elimination, cap={"executions": 100}, policy={"name": "uniform", "max_tests": 6})
    assert run("run", path, "--out", tmp_path / "out") == 0
    trace = read_trace(tmp_path / "out")
    verdicts = [r.verdicts for seen in trace.problems.values() for r in seen.verdicts.values()]
    assert (np.concatenate(verdicts) == NOT_RUN).any()
    assert all(pick["candidate"] in (0, 2) for pick in picks(tmp_path / "out"))


def test_unusable_tests_are_reported(job, tmp_path, capsys):
    assert run("run", job(cap={"tests": 40}), "--out", tmp_path / "out") == 0
    assert "report.html" in capsys.readouterr().out
    assert (tmp_path / "out" / "report.html").exists()
    assert run("report", tmp_path / "out", "--out", tmp_path / "report.html") == 0
    assert f"tests {TestStatus.DUPLICATE}" in capsys.readouterr().out
