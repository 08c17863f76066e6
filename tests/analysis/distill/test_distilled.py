"""Training data of a finished run: rows, filters, pairs and what cannot be done."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from testbudget.analysis.distill.distilled import distil
from testbudget.analysis.distill.rows import row_hash
from testbudget.analysis.distill.settings import DistillSettings
from testbudget.analysis.distill.source_run import SourceRun
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import Verdict
from testbudget.traces.tables import read_trace, write_trace


def distilled(directory, *, sources=None, held_out=(), **settings):
    run = SourceRun("run", directory)
    return distil([run], DistillSettings(**settings), sources=sources or {}, held_out=held_out)


def rows(data, kind):
    return [*data.rows[kind, "train"], *data.rows[kind, "eval"]]


def changed(directory, change):
    """The run with the trace of each problem changed."""
    trace = read_trace(directory)
    write_trace(replace(trace, problems={name: change(seen) for name, seen in trace.problems.items()}))
    return directory


def test_kept_tests_pass_every_right_program_and_reject_the_most_wrong_ones_first(finished):
    data = distilled(finished, tests_per_problem=4)
    kept = rows(data, "tests")
    assert {row["right_passed"] for row in kept} == {1.0}
    # Of the points, 2 tells nothing of a doubling, and 0 cannot tell x ** k.
    of_two = [row["test"] for row in kept if row["problem"] == "times/2"]
    assert sorted(of_two) == [1, 3, 5, 7]
    assert {row["wrong_rejected"] for row in kept} == {1.0}
    assert {row["quality"] for row in kept} == {1.0}


def test_the_prompt_is_the_one_of_the_recording_and_the_answer_is_the_test_alone(finished):
    (row, *_) = rows(distilled(finished), "tests")
    (asked,), (given,) = row["prompt"], row["completion"]
    assert asked["role"] == "user"
    assert "### code solution\ndef times_" in asked["content"]
    assert given["role"] == "assistant"
    assert given["content"].startswith("```python\nimport unittest")
    assert given["content"].endswith("\n```")
    assert "Here is a test" not in given["content"]


def test_each_filter_can_be_switched_off_and_tells_what_it_would_drop(finished):
    def worse(seen):
        verdicts = dict(seen.verdicts)
        verdicts[0] = replace(verdicts[0], verdicts=np.full(4, Verdict.FAILED, np.uint8))
        verdicts[1] = replace(verdicts[1], verdicts=np.full(4, Verdict.PASSED, np.uint8))
        return replace(seen, verdicts=verdicts)

    changed(finished, worse)
    on = {step.name: step for step in distilled(finished).steps}
    assert on["passes right candidates"].dropped == 5
    assert on["rejects wrong candidates"].dropped == 6  # a fifth point tells nothing of times/2
    off = distilled(
        finished,
        pass_right=False,
        reject_wrong=False,
        drop_duplicates=False,
        reformat=False,
        tests_per_problem=None,
    )
    steps = {step.name: step for step in off.steps}
    assert not steps["passes right candidates"].applied
    assert steps["passes right candidates"].dropped == 5
    assert steps["passes right candidates"].tests == steps["executed"].tests == len(rows(off, "tests"))
    assert all(row["completion"][0]["content"].startswith("Here is a test") for row in rows(off, "tests"))


def test_pairs_set_a_kept_test_against_a_clearly_worse_one_of_its_problem(finished):
    pairs = rows(distilled(finished, tests_per_problem=3), "pairs")
    assert pairs
    for row in pairs:
        assert row["margin"] >= 0.3
        assert row["chosen_test"] != row["rejected_test"]
        assert row["chosen"] != row["rejected"]
    assert len(rows(distilled(finished, tests_per_problem=3, min_margin=1.0), "pairs")) < len(pairs)


def test_pairs_of_candidates_set_a_right_program_against_a_wrong_one(finished):
    pairs = rows(distilled(finished), "candidates")
    assert len(pairs) == 10  # two right and two wrong programs of each problem
    for row in pairs:
        k = row["problem"].partition("/")[2]
        assert row["chosen"][0]["content"].count("x *") + row["chosen"][0]["content"].count("* x") == 1
        assert f"x + {k}" in row["rejected"][0]["content"] or "**" in row["rejected"][0]["content"]
        assert row["prompt"][0]["content"].startswith("Solve this programming problem in Python.")


def test_without_labels_the_group_of_the_pick_judges_and_its_probability_is_in_each_row(finished):
    changed(finished, lambda seen: replace(seen, correct=None))
    data = distilled(finished, min_probability=0.0)
    kept = rows(data, "tests")
    assert {row["judged_by"] for row in kept} == {"groups"}
    picks = SourceRun("run", finished).picks
    assert {row["problem"]: row["probability"] for row in kept} == {
        row["problem"]: picks[row["problem"]].p_correct for row in kept
    }
    with pytest.raises(UserError, match=r"must say which candidates are correct but not of times/2"):
        distilled(finished, judged_by="truth")
    with pytest.raises(UserError, match=r"after the filter 'p_correct of the pick': try a lower"):
        distilled(finished, min_probability=1.0)


def test_problems_are_on_one_side_and_equal_rows_are_there_once(finished, tmp_path):
    runs = [SourceRun("a", finished), SourceRun("b", finished)]
    data = distil(runs, DistillSettings(eval_share=0.4, near_duplicate=1.0), sources={}, held_out=[])
    hashes = [row_hash(row) for kind in ("tests", "pairs", "candidates") for row in rows(data, kind)]
    assert len(hashes) == len(set(hashes))
    assert data.repeated > 0
    assert data.crossing == 0
    sides = [{row["problem"] for row in data.rows["tests", side]} for side in ("train", "eval")]
    assert [len(side) for side in sides] == [3, 2]
    assert not sides[0] & sides[1]


def test_near_duplicates_of_what_judges_are_left_out_too(finished, recorded):
    trace = read_trace(finished)
    first = next(iter(trace.problems))
    only = replace(trace, problems={first: trace.problems[first]})
    data = distilled(finished, held_out=[only], near_duplicate=1.0)
    assert first not in {row["problem"] for row in rows(data, "tests")}
    assert len({row["problem"] for row in rows(data, "tests")}) == 4
    # The prompts differ in a number: with a lower threshold they are all held out.
    with pytest.raises(UserError, match="all of their problems are held out"):
        distilled(finished, held_out=[only], near_duplicate=0.05)


def test_a_run_without_its_texts_takes_them_from_a_source_that_fits(finished, recorded, tmp_path):
    changed(finished, lambda seen: replace(seen, problem=None))
    trace = read_trace(finished)
    write_trace(replace(trace, problem_source=None))
    with pytest.raises(UserError, match="must hold the texts of its problems or name their source"):
        distilled(finished)
    assert rows(distilled(finished, sources={finished: str(recorded.problems_file)}), "tests")
    lines = [json.loads(line) for line in Path(recorded.problems_file).read_text().splitlines()]
    lines[0]["prompt"] += "# changed"
    other = tmp_path / "other.jsonl"
    other.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(UserError, match="must hold the text of times/2"):
        distilled(finished, sources={finished: str(other)})


def test_a_directory_that_is_no_finished_run_is_told(tmp_path):
    with pytest.raises(UserError, match=r"must be a finished run but it has no candidates.parquet"):
        SourceRun("run", tmp_path)
