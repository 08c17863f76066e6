"""Picks of a run: p_correct, abstaining, and the reason for being closed."""

import json

from testbudget.analysis.summary import summarise
from testbudget.cli.main import main
from testbudget.scheduler.fitting.confidence import confidence_models_of


def picked(recorded, tmp_path, name="out", **fields):
    path = recorded.write_job(tmp_path / f"{name}.yaml", cap={"tests": 40}, **fields)
    assert main(["run", str(path), "--out", str(tmp_path / name)]) == 0
    return [json.loads(line) for line in (tmp_path / name / "picks.jsonl").read_text().splitlines()]


def test_every_pick_has_a_p_correct_and_a_reason_for_being_closed(recorded, tmp_path):
    picks = picked(recorded, tmp_path)
    assert all(0 < pick["p_correct"] < 1 for pick in picks)
    assert all(0 < pick["overtaken_at_most"] <= 1 for pick in picks)
    assert not any(pick["abstained"] for pick in picks)
    assert all(pick["closed_because"] == "cap" for pick in picks)
    summary = summarise(tmp_path / "out")
    assert [round(problem.p_correct, 4) for problem in summary.problems] == [
        pick["p_correct"] for pick in picks
    ]


def test_a_pick_with_a_low_p_correct_is_abstained_and_its_candidate_is_kept(recorded, tmp_path):
    sure = picked(recorded, tmp_path)
    threshold = (
        sum(sorted(pick["p_correct"] for pick in sure)[1:3]) / 2
    )  # between two values, so rounding does not matter
    marked = picked(recorded, tmp_path, "abstained", confidence={"abstain_below": threshold})
    assert [pick["abstained"] for pick in marked] == [pick["p_correct"] < threshold for pick in sure]
    assert [pick["candidate"] for pick in marked] == [pick["candidate"] for pick in sure]
    summary = summarise(tmp_path / "abstained")
    assert summary.coverage == sum(not pick["abstained"] for pick in marked) / len(marked)
    assert summary.covered_accuracy == 1


def test_a_run_that_abstains_everywhere_has_no_accuracy_left(recorded, tmp_path):
    picks = picked(recorded, tmp_path, confidence={"abstain_below": 1})
    assert all(pick["abstained"] for pick in picks)
    assert summarise(tmp_path / "out").coverage == 0
    assert summarise(tmp_path / "out").covered_accuracy is None


def test_fitted_confidence_models_are_stored_with_the_run_that_uses_them(recorded, learnable, tmp_path):
    picks = picked(recorded, tmp_path, confidence={"fit_from": [str(learnable.directory)]})
    assert str(learnable.directory) in confidence_models_of(tmp_path / "out").source
    assert picks != picked(recorded, tmp_path, "default")
    summary = summarise(tmp_path / "out")
    assert summary.confidence_source == confidence_models_of(tmp_path / "out").source
    assert [round(problem.p_correct, 4) for problem in summary.problems] == [
        pick["p_correct"] for pick in picks
    ]


def test_a_problem_whose_answers_hold_no_program_gets_no_test_and_its_pick_is_abstained(tmp_path):
    prompt = "Read a number and print it twice."
    rows = {
        "problems": [{"id": name, "prompt": prompt} for name in ("refused", "solved")],
        "candidates": [
            {"problem": "refused", "answer": "I cannot help with that."},
            {"problem": "solved", "answer": "I cannot help with that."},
            {"problem": "solved", "answer": "```python\nprint(2 * (input() + '\\n'), end='')\n```"},
        ],
        "tests": [
            {"problem": name, "stdin": "4\n", "expected_stdout": "4\n4\n"} for name in ("refused", "solved")
        ],
    }
    job = {"problems": {"source": "problems.jsonl"}, "cap": {"tests": 2}}
    for name, lines in rows.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        job |= {} if name == "problems" else {name: {"from_file": f"{name}.jsonl"}}
    (tmp_path / "job.yaml").write_text(json.dumps(job))
    assert main(["run", str(tmp_path / "job.yaml"), "--out", str(tmp_path / "out")]) == 0
    refused, solved = map(json.loads, (tmp_path / "out" / "picks.jsonl").read_text().splitlines())
    assert (refused["tests"], refused["p_correct"], refused["abstained"]) == (0, 0, True)
    assert refused["closed_because"] == "no_program"
    assert (solved["candidate"], solved["tests_passed"], solved["abstained"]) == (1, 1, False)
    assert summarise(tmp_path / "out").coverage == 0.5
