"""Rewards of completions: their meaning, the forms of batches, and the processes they are called from."""

import asyncio
import doctest
import multiprocessing
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from testbudget import TestLimits, UserError, reward_function, training_rewards

LIMITS = TestLimits(cpu_seconds=0.5, max_timeouts=1)
TESTS = ["assert f(1) == 2", "assert f(2) == 3"]
LOOPING = "```python\ndef f(x):\n    while True: pass\n```"
FORGING = "class f:\n    def __init__(self, x): pass\n    def __eq__(self, other): return True"
RIGHT = "Sure!\n```python\ndef f(x):\n    return x + 1\n```\nDone."
HALF = "def f(x): return 2"
PROSE = "I would rather not."


@pytest.fixture(scope="module")
def reward():
    """A reward function with one worker that all tests of this module share."""
    return reward_function(limits=LIMITS, runners=1)


def of(reward, *completions, tests=TESTS, **columns):
    count = len(completions)
    return reward(["Add one."] * count, [*completions], tests=[tests] * count, **columns)


def test_the_example_of_the_docstring_holds():
    assert doctest.testmod(training_rewards) == (0, 2)


def test_a_looping_and_a_forging_completion_get_0_and_a_right_one_1(reward):
    assert of(reward, LOOPING, FORGING, RIGHT, HALF, PROSE) == [0.0, 0.0, 1.0, 0.5, 0.0]


def test_all_counts_whole_successes_alone_and_trust_counts_what_could_be_forged():
    strict = reward_function(value="all", limits=LIMITS, runners=1)
    assert of(strict, RIGHT, HALF, FORGING) == [1.0, 0.0, 0.0]
    trusting = reward_function(trust="honest", limits=LIMITS, runners=1)
    assert of(trusting, FORGING) == [1.0]


def test_p_correct_weighs_the_votes_of_the_group():
    p_correct = reward_function(value="p_correct", limits=LIMITS, runners=1)
    right, also_right, half, prose = of(p_correct, RIGHT, "def f(y): return 1 + y", HALF, PROSE)
    assert 1 > right == also_right > 0.5 > half > 0 == prose
    assert p_correct(["", ""], [RIGHT, RIGHT], tests=[None, TESTS])[0] is None


def test_conversations_and_columns_of_other_forms_are_read(reward):
    prompt = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Add one."}]
    completion = [{"role": "assistant", "content": RIGHT}]
    assert reward([prompt], [completion], tests=[TESTS], trainer_state=None) == [1.0]
    in_parts = [{"role": "assistant", "content": [{"type": "text", "text": RIGHT}]}]
    assert reward([prompt], [in_parts], tests=[np.array(TESTS, object)]) == [1.0]
    pairs = [{"input": [1], "output": 2}, {"input": [5], "output": 7}]
    assert of(reward, RIGHT, tests=pairs, entry_point=["f"]) == [0.5]
    printed = {"inputs": ["1\n", "2\n"], "outputs": ["2\n", "3\n"]}
    assert of(reward, "```python\nprint(int(input()) + 1)\n```", tests=printed) == [1.0]
    assert of(reward, RIGHT, RIGHT, tests=None) == [None, None]


def test_a_base_model_continues_its_prompt():
    continued = reward_function("asserts", answer="continues_prompt", limits=LIMITS, runners=1)
    prompts = ["def f(x):\n"] * 2
    assert continued(prompts, ["    return x + 1\n", "    return x\n"], asserts=[TESTS] * 2) == [1.0, 0.0]


def test_verl_gives_one_completion_or_a_batch(reward):
    info = {"entry_point": "f", "question": "Add one."}
    assert reward.compute_score("mine", RIGHT, '["assert f(1) == 2"]', info) == 1.0
    assert reward.compute_score(data_source="mine", solution_str=HALF, ground_truth=TESTS) == 0.5
    scores = reward.compute_scores(
        data_sources=["mine"] * 2, solution_strs=[RIGHT, HALF], ground_truths=[TESTS] * 2, extra_infos=None
    )
    assert scores == [1.0, 0.5]
    with pytest.raises(UserError, match="ground_truth of row 0 must hold tests but it is empty"):
        reward.compute_score("mine", RIGHT, [])


def test_a_reward_function_has_a_name_and_is_pickled_by_its_settings(reward):
    assert reward.__name__ == "testbudget_share"
    again = pickle.loads(pickle.dumps(reward_function(name="passes", limits=LIMITS, runners=1)))
    assert again.__name__ == "passes"
    assert of(again, HALF) == [0.5]


def test_many_threads_and_a_running_loop_share_the_workers(reward):
    async def in_loop():
        alone = of(reward, HALF)
        loop = asyncio.get_running_loop()
        calls = [
            loop.run_in_executor(None, reward.compute_score, "mine", f"def f(x): return {n}", TESTS)
            for n in range(6)
        ]
        return alone, await asyncio.gather(*calls)

    assert asyncio.run(in_loop()) == ([0.5], [0.0, 0.0, 0.5, 0.5, 0.0, 0.0])
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("testbudget judge") >= 1


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_processes_of_a_trainer_judge_by_workers_of_their_own(reward, method):
    assert of(reward, RIGHT) == [1.0]
    with ProcessPoolExecutor(1, multiprocessing.get_context(method)) as trainer:
        found = trainer.submit(reward, ["p"] * 2, [RIGHT, "def f(x): return 3"], tests=[TESTS] * 2)
        assert found.result() == [1.0, 0.5]
    assert of(reward, HALF) == [0.5]


def test_a_call_returns_when_its_time_is_up_and_the_next_one_is_judged():
    hasty = reward_function(limits=TestLimits(cpu_seconds=60, wall_seconds=600), runners=1, time_limit=1e-3)
    assert of(hasty, LOOPING) == [None]
    patient = pickle.loads(pickle.dumps(hasty))
    patient.settings = training_rewards.replace(patient.settings, seconds=600)
    assert of(patient, RIGHT) == [1.0]  # by the same judge, whose worker is no longer busy with the loop


def test_judging_loads_neither_torch_nor_ray_and_ends_with_its_process():
    code = (
        "import sys, testbudget\n"
        "reward = testbudget.reward_function(runners=1)\n"
        "print(reward([''], ['def f(): return 1'], tests=[['assert f() == 1']]))\n"
        "print({'torch', 'ray', 'transformers'} & sys.modules.keys())\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    assert ended.stdout.split("\n")[:2] == ["[1.0]", "set()"]
    assert ended.stderr == ""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"value": "mean"}, "value must be one of share, all, p_correct but got 'mean'"),
        ({"answer": "json"}, "answer must be one of code_block, continues_prompt"),
        ({"trust": "blind"}, "trust must be hostile or honest"),
        ({"time_limit": 0}, "time_limit must be a positive number"),
        ({"runners": 0}, "runners must be at least 1"),
        ({"language": "cobol"}, "language"),
        ({"require": ["moat"]}, "sandbox.require must name layers"),
    ],
)
def test_settings_that_make_no_sense_are_refused(words, sentence):
    with pytest.raises(UserError, match=sentence):
        reward_function(**words)


def test_tests_that_no_program_can_pass_are_left_out_and_told_once(caplog):
    reward = reward_function(limits=LIMITS, runners=1)
    mixed = ["f(1)", *TESTS, "assert 1 == 1"]
    assert of(reward, RIGHT, HALF, tests=mixed, entry_point=["f", "f"]) == [1.0, 0.5]
    assert of(reward, RIGHT, tests=mixed, entry_point=["f"]) == [1.0]
    assert reward(["a", "b"], [RIGHT, RIGHT], tests=[TESTS, ["f(1)"]]) == [1.0, None]
    assert [record.getMessage() for record in caplog.records] == [
        "tests that no program can pass are left out, 2 in this batch: that of row 0 asserts nothing: "
        "'f(1)'"
    ]


def test_rows_that_cannot_be_read_are_told(reward):
    with pytest.raises(UserError, match="tests must be a column of the batch but got 'tests'; it has test"):
        reward(["p"], [RIGHT], test=[TESTS])
    with pytest.raises(UserError, match="row 0 of the batch: tests must be a program, a list"):
        of(reward, RIGHT, tests=5)
    with pytest.raises(
        UserError,
        match="tests must hold tests that a program can pass but has none: that of row 0 does not parse",
    ):
        of(reward, RIGHT, tests=["assert f(1) =="])
    with pytest.raises(UserError, match="completions must be texts or lists of messages but row 0 is int"):
        of(reward, 5)
    with pytest.raises(UserError, match="prompts must have a value for each completion but it has 1 for 2"):
        reward(["p"], [RIGHT, RIGHT], tests=[TESTS, TESTS])
    missing = reward_function(packages=["no-such-thing"], runners=1)
    with pytest.raises(UserError, match="packages names no-such-thing, which is not installed"):
        of(missing, RIGHT)
