"""The real vLLM engine with a real model, whose path is in TESTBUDGET_LIVE_MODEL."""

import asyncio
import multiprocessing
import os
from contextlib import asynccontextmanager

import pytest

from testbudget.executors.generation.base import (
    GeneratorError,
    Prompt,
    PromptTooLongError,
    Request,
    Sampling,
)
from testbudget.executors.generation.engine_lease import EngineLease
from testbudget.executors.generation.extraction.extract import extract_unit_test, read_candidate
from testbudget.executors.generation.prompts import prompt_template
from testbudget.executors.generation.vllm import EngineSettings, VllmGenerator
from testbudget.executors.metering import LeaseEndedError, Meter, Usage
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import Problem
from testbudget.rewards.seeds import derive_seed

MODEL = os.environ.get("TESTBUDGET_LIVE_MODEL", "")

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not MODEL, reason="TESTBUDGET_LIVE_MODEL names no model"),
]

PROBLEM = Problem("add", 'def add(a: int, b: int) -> int:\n    """Return the sum of a and b."""\n', "add")
MAX_MODEL_LEN = 1024


def request(index, text="Write one word.", *, chat=True, problem="p"):
    return Request(problem, index, Prompt(text, chat), derive_seed(0, "live", problem, index))


@pytest.fixture(scope="module")
def loop():
    with asyncio.Runner() as runner:
        yield runner


@asynccontextmanager
async def started(**arguments):
    generator = VllmGenerator(EngineSettings.of(MODEL, {"max_model_len": MAX_MODEL_LEN, **arguments}))
    await generator.start()
    try:
        yield generator
    finally:
        await generator.close()


@pytest.fixture(scope="module")
def generator(loop):
    context = started()
    yield loop.run(context.__aenter__())
    loop.run(context.__aexit__(None, None, None))


def answers(loop, generator, requests, sampling):
    async def all_at_once():
        return await asyncio.gather(*(generator.generate(one, sampling) for one in requests))

    return loop.run(all_at_once())


def test_requests_that_arrive_together_are_all_answered(loop, generator):
    requests = [request(index, f"Say the number {index}.") for index in range(12)]
    completions = answers(loop, generator, requests, Sampling(max_tokens=24))
    assert len(completions) == 12
    assert all(1 <= completion.tokens <= 24 for completion in completions)
    assert all(completion.finish_reason in ("stop", "length") for completion in completions)
    assert len({completion.text for completion in completions}) > 1


def test_an_answer_that_is_cut_off_says_so_and_has_exactly_its_tokens(loop, generator):
    (completion,) = answers(
        loop, generator, [request(0, "Count from 1 to 1000, one number a line.")], Sampling(max_tokens=7)
    )
    assert (completion.tokens, completion.finish_reason) == (7, "length")


def test_the_seed_decides_the_answer(loop, generator):
    prompt = "Invent a name for a town and describe it."
    same = [request(0, prompt), request(0, prompt)]
    others = [request(index, prompt) for index in range(1, 5)]
    completions = answers(loop, generator, [*same, *others], Sampling(max_tokens=16, temperature=1.0))
    assert completions[0].text == completions[1].text
    assert len({completion.text for completion in completions}) >= 4


def test_a_stop_string_ends_the_answer_and_is_not_part_of_it(loop, generator):
    text = "1\n2\n3\n4\n5\n6\n"
    free, stopped = (
        answers(loop, generator, [request(0, text, chat=False)], Sampling(0.0, 1.0, 12, stop))[0]
        for stop in ((), ("\n8",))
    )
    assert free.text.startswith("7\n8")
    assert stopped.text == "7"
    assert stopped.finish_reason == "stop"
    assert 1 <= stopped.tokens < free.tokens


@pytest.mark.parametrize("stop", [(), ("\n9",)])
def test_counting_tokens_changes_no_answer_and_misses_no_more_than_it_says(loop, generator, stop):
    sampling = Sampling(max_tokens=60, stop=stop)
    asked = [request(index, "1\n2\n3\n4\n5\n6\n", chat=False) for index in range(4)]
    counts = [[] for _ in asked]

    async def counted():
        return await asyncio.gather(
            *(
                generator.generate_counted(one, sampling, count.append)
                for one, count in zip(asked, counts, strict=True)
            )
        )

    plain, while_counted = answers(loop, generator, asked, sampling), loop.run(counted())
    assert [one.text for one in while_counted] == [one.text for one in plain]
    ahead = generator.tokens_ahead(sampling)
    for answer, reference, count in zip(while_counted, plain, counts, strict=True):
        assert answer.tokens == reference.tokens == sum(count)
        assert max(count) <= ahead
        assert len(count) > 1


def test_requests_end_with_the_lease_and_the_engine_answers_under_the_next_one(loop, generator):
    async def run():
        meter = Meter()
        lease = EngineLease(meter, 0.0, 4)
        sampling = Sampling(max_tokens=300)
        meter.lease(Usage(160.0, 0.0, 0.0))

        async def answer(index):
            one = request(index, "Count from 1 to 1000, one number a line.")
            (room,) = lease.begin(1, generator.tokens_ahead(sampling))
            return await lease.run(lambda count: generator.generate_counted(one, sampling, count), room)

        ended = await asyncio.gather(*map(answer, range(4)), return_exceptions=True)
        assert [type(one) for one in ended] == [LeaseEndedError] * 4
        assert meter.used.tokens <= meter.charged.tokens == 160.0
        meter.lease(Usage(600.0, 0.0, 0.0))
        assert (await answer(0)).tokens > 40

    loop.run(run())


def test_a_model_writes_a_candidate_and_a_test_that_can_be_used(loop, generator):
    completion = prompt_template("completion")
    asked = Request("add", 0, completion.render(PROBLEM), 1)
    (answer,) = answers(loop, generator, [asked], Sampling(0.0, 1.0, 64, completion.stop))
    candidate = read_candidate(completion, PROBLEM, answer.text).code
    namespace = {}
    exec(candidate, namespace)
    assert namespace["add"](2, 3) == 5

    coderm = prompt_template("coderm")
    prompt = coderm.render(PROBLEM, candidate)
    asked = [Request("add", index, prompt, derive_seed(0, "unit_test", "add", index)) for index in range(4)]
    written = answers(loop, generator, asked, Sampling(max_tokens=256, stop=coderm.stop))
    assert any(extract_unit_test(answer.text, "add").code for answer in written)


def test_an_answer_never_passes_the_end_of_the_context(loop, generator):
    text = "1 " * (MAX_MODEL_LEN // 2 - 10)
    (completion,) = answers(loop, generator, [request(0, text, chat=False)], Sampling(max_tokens=4096))
    assert completion.tokens <= MAX_MODEL_LEN // 2 + 10


def test_a_prompt_without_room_for_an_answer_is_refused_by_itself(loop, generator):
    async def one_refused_beside_one_answered():
        return await asyncio.gather(
            generator.generate(request(0, "word " * 2 * MAX_MODEL_LEN, problem="long one"), Sampling()),
            generator.generate(request(1), Sampling(max_tokens=4)),
            return_exceptions=True,
        )

    refused, answered = loop.run(one_refused_beside_one_answered())
    assert isinstance(refused, PromptTooLongError)
    assert "long one" in str(refused)
    assert str(MAX_MODEL_LEN) in str(refused)
    assert answered.tokens >= 1


def test_the_death_of_the_engine_fails_what_is_in_flight_and_what_comes_later(loop):
    others = multiprocessing.active_children()

    async def killed_in_flight():
        async with started() as generator:
            in_flight = asyncio.create_task(
                generator.generate(request(0, "Count from 1 to 1000, one number a line."), Sampling())
            )
            await generator.generate(request(1), Sampling(max_tokens=2))
            for child in multiprocessing.active_children():
                if child not in others:
                    child.kill()
            with pytest.raises(GeneratorError, match="vLLM failed on problem p"):
                await in_flight
            with pytest.raises(GeneratorError):
                await generator.generate(request(2), Sampling(max_tokens=2))

    loop.run(killed_in_flight())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_model_len": 10**8}, r"vLLM refuses the engine settings.*max_model_len"),
        ({"dtype": "float7"}, r"vLLM refuses the engine settings.*dtype"),
        ({"fast": True, "eager": True}, r"vLLM knows no engine argument eager, fast"),
    ],
)
def test_an_engine_setting_that_cannot_be_is_a_user_error(loop, arguments, message):
    async def start():
        async with started(**arguments):
            pass

    with pytest.raises(UserError, match=message):
        loop.run(start())


def test_a_model_that_is_neither_here_nor_on_the_hub_is_a_user_error(loop, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"nobody/no-such-model is no local folder, and the model hub"):
        loop.run(VllmGenerator(EngineSettings("nobody/no-such-model")).start())
