"""Servers are checked before a run begins."""

import asyncio

import pytest

from testbudget.rewards.errors import UserError
from testbudget.scheduler.job import Job
from testbudget.scheduler.server_checks import check_servers
from tests.openai_server import openai_server


@pytest.fixture
def server():
    with openai_server() as running:
        yield running


def job(candidates_url, tests_url, **sections):
    model = {"name": "tiny", "template": "coderm", "retry_seconds": 0}
    content = {
        "problems": {"source": "humaneval"},
        "candidates": {"model": model | {"base_url": candidates_url, "template": "chat"}, "count": 1},
        "tests": {"model": model | {"base_url": tests_url}},
        "cap": {"tests": 1},
    }
    return Job.model_validate(content | sections)


def test_both_servers_are_asked_for_their_models_and_nothing_is_generated(server):
    check_servers(job(server.url, server.url))
    assert server.headers is not None
    assert server.bodies == []


def test_a_server_that_does_not_answer_is_the_user_s_to_start(server):
    with openai_server() as other:
        gone = other.url
    with pytest.raises(UserError, match=f"{gone} has not answered"):
        check_servers(job(server.url, gone))


def test_a_server_that_a_cluster_elsewhere_may_see_is_not_checked():
    check_servers(job("http://node/v1", "http://node/v1", cluster={"address": "ray://head:10001"}))


def test_a_notebook_s_event_loop_may_run(server):
    async def cell():
        check_servers(job(server.url, server.url))

    asyncio.run(cell())
