from dataclasses import replace

import pytest

from testbudget.rewards.problem import Problem

PROBLEM = Problem(id="a", prompt="def f():", entry_point="f", ground_truth="assert f()")


def test_the_content_hash_knows_a_problem_by_any_id():
    assert replace(PROBLEM, id="b").content_hash == PROBLEM.content_hash


@pytest.mark.parametrize("field", ["prompt", "entry_point", "language", "ground_truth"])
def test_the_content_hash_notices_every_changed_text(field):
    assert replace(PROBLEM, **{field: "changed"}).content_hash != PROBLEM.content_hash
