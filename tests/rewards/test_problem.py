from dataclasses import replace

import pytest

from testbudget.rewards.problem import Problem

PROBLEM = Problem(id="a", prompt="def f():", entry_point="f", ground_truth="assert f()")


def test_the_content_hash_does_not_depend_on_the_id():
    assert replace(PROBLEM, id="b").content_hash == PROBLEM.content_hash


@pytest.mark.parametrize("field", ["prompt", "entry_point", "language", "ground_truth"])
def test_the_content_hash_depends_on_every_other_field(field):
    assert replace(PROBLEM, **{field: "changed"}).content_hash != PROBLEM.content_hash
