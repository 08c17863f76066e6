"""Problems of a job: shards are disjoint, of even size, and hold all problems together."""

import pytest
from pydantic import ValidationError

from testbudget.rewards.errors import UserError
from testbudget.scheduler.job_problems import problems_of_job
from testbudget.scheduler.sections.problems import ProblemsSection


def ids(recorded, **fields):
    section = ProblemsSection(source=str(recorded.problems_file), **fields)
    return [problem.id for problem in problems_of_job(section)]


@pytest.mark.parametrize("shards", [1, 2, 3, 5])
def test_shards_part_the_problems(recorded, shards):
    parts = [ids(recorded, shard=f"{number}/{shards}") for number in range(1, shards + 1)]
    assert sorted(one for part in parts for one in part) == sorted(ids(recorded))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_shard_is_of_the_problems_that_the_job_takes(recorded):
    assert ids(recorded, limit=3, shard="2/2") == ids(recorded)[1:3:2]


def test_an_empty_shard_is_refused_in_a_sentence(recorded):
    with pytest.raises(UserError, match=r"shard 6/6 must hold a problem but .* has only 5"):
        ids(recorded, shard="6/6")


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "1/2/3", "a/b", "-1/2", ""])
def test_a_shard_that_is_none_is_refused(recorded, shard):
    with pytest.raises(ValidationError, match="must be i/n with i from 1 to n, such as 1/4, but got"):
        ids(recorded, shard=shard)
