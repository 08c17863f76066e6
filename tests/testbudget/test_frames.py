"""Tables of a finished run agree with one another and with its summary."""

import pytest

import testbudget
from testbudget import UserError
from testbudget.frames import TableName


@pytest.fixture(scope="module")
def run(recorded, tmp_path_factory):
    """A run whose course is known."""
    return testbudget.run(recorded.job(), out=tmp_path_factory.mktemp("frames") / "run")


def test_every_table_counts_the_same_tests_and_votes(run):
    tables = {name: run.to_pandas(name) for name in TableName.__args__}
    problems, votes, tests = tables["problems"], tables["votes"], tables["tests"]
    assert problems["problem"].tolist() == [pick.problem for pick in run.picks]
    assert problems["pick"].tolist() == [pick.candidate for pick in run.picks]
    passed = votes[votes["passed"]].groupby("problem").size()
    by_candidate = tables["candidates"].groupby("problem")["tests_passed"].sum()
    assert passed.to_dict() == {name: count for name, count in by_candidate.items() if count}
    assert tests["candidates_passed"].sum() == votes["passed"].sum()
    assert len(tests) == run.summary.spent.tests == tables["spending"]["tests"].sum()
    assert tables["spending"]["tokens"].sum() == tests["tokens"].sum() == run.summary.spent.tokens
    assert problems["accuracy"].mean() == pytest.approx(run.summary.accuracy)


def test_candidates_have_their_code_and_one_of_each_problem_is_picked(run):
    candidates = run.to_pandas("candidates")
    picked = candidates[candidates["picked"]]
    assert picked["problem"].tolist() == [pick.problem for pick in run.picks]
    assert all("def " in code for code in candidates["code"])
    assert set(candidates["correct"]) == {True, False}


def test_votes_name_verdicts_and_an_imported_run_has_spending_by_test(run, imported):
    assert set(run.to_pandas("votes")["verdict"]) <= {"passed", "failed", "errored", "not_run"}
    brought = testbudget.load(imported)
    spending = brought.to_pandas("spending")
    assert len(spending) == brought.summary.spent.tests
    assert spending["seconds"].isna().all()


def test_an_unknown_table_is_refused(run):
    with pytest.raises(
        UserError, match="table must be one of problems, candidates, tests, votes, spending"
    ):
        run.table("picks")
