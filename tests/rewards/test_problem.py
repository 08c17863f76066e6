from dataclasses import replace

import pytest

from testbudget.rewards.comparison import Comparison
from testbudget.rewards.problem import GroundTruth, Problem, TestKind

PROBLEM = Problem("a", "def f():", "f", ground_truth=GroundTruth(TestKind.ASSERT, ("assert f()",)))


def test_the_content_hash_depends_neither_on_the_id_nor_on_what_is_known_beside_the_task():
    other = replace(PROBLEM, id="b", reference="def f(): ...", metadata={"level": "easy"})
    assert other.content_hash == PROBLEM.content_hash


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", "changed"),
        ("entry_point", "changed"),
        ("entry_point", None),
        ("language", "changed"),
        ("ground_truth", None),
        ("ground_truth", GroundTruth(TestKind.ASSERT, ("assert f()", "assert f()"))),
        ("comparison", Comparison(relative=1e-6)),
    ],
)
def test_the_content_hash_depends_on_every_other_field(field, value):
    assert replace(PROBLEM, **{field: value}).content_hash != PROBLEM.content_hash
