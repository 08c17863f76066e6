"""Rewards by tests that a model writes, against a real server of this machine and in real sandboxes."""

import pickle
import re

import pytest

from testbudget import TestLimits, UserError, reward_function
from tests.openai_server import openai_server

RIGHT = "```python\ndef f(x):\n    return x + 1\n```"
TWIN = "def f(y):\n    return 1 + y"
WRONG = "def f(x):\n    return 2"
LOOPING = "def f(x):\n    while True: pass"
PROSE = "I would rather not."
TEST = "import unittest\n\nclass TestIt(unittest.TestCase):\n    def test_it(self):\n        "


def write(prompt, seed):
    """A test of the function that the prompt names: it adds one, another number for each seed."""
    number = seed % 97 + 2
    name = re.search(r"\b([fg])\b", prompt)[1]
    return f"```python\n{TEST}self.assertEqual({name}({number}), {number + 1})\n```"


@pytest.fixture
def server():
    with openai_server() as running:
        running.answer = write
        yield running


def rewarding(server, **words):
    model = {"name": "tiny", "base_url": server.url, "template": "coderm", "retry_seconds": 1}
    limits = TestLimits(cpu_seconds=0.5, max_timeouts=1)
    usual = {"cap": {"tests": 2}, "limits": limits, "runners": 1} | words
    return reward_function(model=model | {"max_tokens": 64}, **usual)


def test_a_model_writes_tests_for_each_group_under_the_cap_of_all(server):
    reward = pickle.loads(pickle.dumps(rewarding(server)))
    prompts = ["Write f that adds one."] * 5 + ["Write g that adds one."]
    completions = [RIGHT, TWIN, WRONG, LOOPING, PROSE, "def g(x): return x + 1"]
    names = ["f"] * 5 + ["g"]
    assert reward(prompts, completions, entry_point=names) == [1.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    asked = [body["messages"][-1]["content"] for body in server.bodies]
    assert len(asked) <= 2 * 2
    assert {re.search(r"Write (.)", text)[1] for text in asked} == {"f", "g"}


def test_p_correct_weighs_the_votes_of_written_tests(server):
    reward = rewarding(server, value="p_correct")
    right, twin, wrong, prose = reward(["Write f."] * 4, [RIGHT, TWIN, WRONG, PROSE], entry_point=["f"] * 4)
    assert 1 > right == twin > wrong > 0 == prose


def test_a_group_without_a_usable_test_and_a_lost_server_give_none(server, caplog):
    reward = rewarding(server)
    server.answer = lambda prompt, seed: "No test today."
    assert reward(["Write f."] * 2, [RIGHT, PROSE], entry_point=["f"] * 2) == [None, 0.0]
    server.failure = lambda number: 503
    assert reward(["Write f."], [RIGHT], entry_point=["f"]) == [None]
    assert "no rewards for a batch" in caplog.text
    with pytest.raises(Exception, match="1 of 1 completions have no verdict"):
        reward.compute_score(solution_str=RIGHT, extra_info={"entry_point": "f", "prompt": "Write f."})


def test_a_server_that_is_gone_before_a_batch_gives_none(caplog):
    with openai_server() as running:
        running.answer = write
        reward = rewarding(running)
    assert reward(["Write f."] * 2, [RIGHT, WRONG], entry_point=["f"] * 2) == [None, None]
    assert "no rewards for a batch" in caplog.text


def test_a_call_returns_when_its_time_is_up(server, caplog):
    reward = rewarding(server, time_limit=0.01)
    assert reward(["Write f."], [RIGHT], entry_point=["f"]) == [None]
    assert "after 0.01 seconds" in caplog.text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"model": {"name": "m"}, "cap": {"tests": 1}}, "model must hold the fields of a served model"),
        ({"model": {"base_url": "http://127.0.0.1:9"}}, "takes tests, or model and cap"),
        ({"cap": {"tests": 1}}, "takes tests, or model and cap"),
        ({"tests": "tests", "model": {}, "cap": {}}, "takes tests, or model and cap"),
        ({"model": {"base_url": "http://127.0.0.1:9"}, "cap": 4}, "cap must hold amounts for a group"),
    ],
)
def test_a_writer_that_cannot_be_used_is_refused_at_once(words, sentence):
    with pytest.raises(UserError, match=sentence):
        reward_function(**words)


def test_a_mistake_in_the_model_is_told_with_the_first_batch(server):
    reward = rewarding(server, cap={"test": 1})
    with pytest.raises(UserError, match=r"cap\.test is not a known field"):
        reward(["Write f."], [RIGHT], entry_point=["f"])
