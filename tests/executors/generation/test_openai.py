"""The generator on a server that speaks OpenAI's protocol, against a real HTTP server of the test."""

import asyncio
import collections
import logging

import pytest

from testbudget.executors.generation.base import (
    GeneratorSettings,
    Prompt,
    PromptRefusedError,
    PromptTooLongError,
    Request,
    Sampling,
    ServerSettings,
)
from testbudget.executors.generation.openai import OpenAIGenerator
from testbudget.executors.generation.prepaid import RequestFailedError, TokenAccount, TokenUse
from testbudget.executors.generation.registry import create_generator
from testbudget.rewards.errors import InfrastructureError, UserError
from testbudget.testing.generators import CHECKS
from tests.openai_server import error, openai_server

KEY = "sk-secret-0123456789"
CHAT = Prompt("Write a program.", chat=True)
EIGHT = Sampling(max_tokens=8)


@pytest.fixture
def server():
    with openai_server() as running:
        yield running


def generator(server, model="tiny", engine=None, **settings):
    settings = {"retry_seconds": 5.0, **settings}
    served = ServerSettings(server if isinstance(server, str) else server.url, **settings)
    return create_generator("openai", GeneratorSettings(model, engine=engine or {}, server=served))


def request(index=0, prompt=CHAT, problem="p"):
    return Request(problem, index, prompt, 1000 + index)


class Bill(TokenAccount):
    """Account that adds up what requests use, without kinds of which none is used."""

    def __init__(self):
        self.used, self.reserved = collections.Counter(), collections.Counter()

    def reserve(self, worst):
        self.reserved.update(worst._asdict())

    def settle(self, worst, used):
        self.reserved.subtract(worst._asdict())
        self.used += collections.Counter(used._asdict())
        assert min(self.reserved.values()) >= 0


def answers(made, requests, sampling=EIGHT, account=None):
    """Answers or errors of requests that are sent at the same time."""

    async def run():
        try:
            await made.start()
            work = [made.generate_prepaid(one, sampling, account or Bill()) for one in requests]
            return await asyncio.gather(*work, return_exceptions=True)
        finally:
            await made.close()

    return asyncio.run(run())


def answer(made, one=None, sampling=EIGHT, account=None):
    (found,) = answers(made, [one or request()], sampling, account)
    if isinstance(found, BaseException):
        raise found
    return found


@pytest.mark.parametrize("check", CHECKS)
def test_the_contract_of_generators_is_kept(server, check):
    check(lambda: generator(server))


def test_a_chat_and_a_text_go_to_their_endpoints_with_the_job_s_sampling_and_the_request_s_seed(server):
    made = generator(server, engine={"top_k": 5})
    text = request(3, Prompt("def f():", chat=False))
    sampling = Sampling(0.5, 0.9, 7, ("\n\n",))
    assert all(one.finish_reason == "length" for one in answers(made, [request(), text], sampling))
    chat, plain = sorted(server.bodies, key=lambda body: body["seed"])
    common = {
        "model": "tiny",
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 7,
        "stop": ["\n\n"],
        "top_k": 5,
    }
    assert chat == common | {"seed": 1000, "messages": [{"role": "user", "content": CHAT.text}]}
    assert plain == common | {"seed": 1003, "prompt": "def f():"}
    assert sorted(server.paths) == ["/v1/chat/completions", "/v1/completions"]


def test_an_answer_is_cut_at_stop_strings_that_the_server_was_not_told(server):
    stops = tuple(f"stop{number}" for number in range(6))
    server.answer = lambda prompt, seed: "one two stop5 three"
    found = answer(generator(server), sampling=Sampling(max_tokens=9, stop=stops))
    assert (found.text, found.finish_reason, found.tokens) == ("one two ", "stop", 4)
    assert server.bodies[0]["stop"] == list(stops[:4])


def test_tokens_are_those_of_the_server_s_usage(server):
    server.overhead = 9
    account = Bill()
    found = answer(generator(server), account=account)
    assert (found.prompt_tokens, found.tokens) == (3 + 9, 8)
    assert account.used == server.billed


@pytest.mark.parametrize("chat", [True, False])
def test_without_usage_log_probabilities_count_the_answer(server, chat):
    server.usage = lambda number: False
    prompt = Prompt("Write.", chat)
    found = answer(generator(server, engine={"logprobs": True}), request(0, prompt))
    assert (found.tokens, found.mean_logprob) == (8, -0.5)
    assert found.prompt_tokens == len("Write.") + 512  # the upper bound


def test_without_usage_and_log_probabilities_no_token_is_left_uncounted(server):
    server.usage = lambda number: False
    server.answer = lambda prompt, seed: "ab cd"
    found = answer(generator(server), sampling=Sampling(max_tokens=100))
    assert found.tokens == len("ab cd") + 1
    assert found.mean_logprob is None
    assert answer(generator(server), sampling=Sampling(max_tokens=2)).tokens == 2


def test_failures_are_repeated_and_paid_for_only_where_the_server_may_charge(server):
    fast = {"retry-after-ms": "20"}
    failures = [(429, {"Retry-After": "0.05"}), (500, fast), "drop", (503, fast), "late", (504, fast)]
    server.failure = lambda number: failures[number] if number < len(failures) else None
    account = Bill()
    found = answer(generator(server), account=account)
    assert len(server.bodies) == 7
    worst = TokenUse(len(CHAT.text) + 512, 8)
    # Where a connection ends in place of an answer, or a gateway gives up, the server may have answered.
    assert account.used["tokens"] == found.tokens + 3 * worst.tokens
    assert account.used["prompt_tokens"] == found.prompt_tokens + 3 * worst.prompt_tokens
    assert account.used >= server.billed


def test_an_answer_that_takes_too_long_is_asked_for_again(server):
    server.failure = lambda number: "5" if number == 0 else None
    assert answer(generator(server, timeout_seconds=0.2)).tokens == 8
    assert len(server.bodies) == 2


def test_nobody_asks_while_the_server_wants_to_be_left_alone(server):
    server.failure = lambda number: (429, {"Retry-After": "0.2"}) if number == 0 else None

    async def run():
        made = generator(server, in_flight=1)
        await made.start()
        clock = asyncio.get_running_loop().time
        began = clock()
        await asyncio.gather(*(made.generate(request(n), Sampling(max_tokens=2)) for n in range(3)))
        await made.close()
        return clock() - began

    assert 0.2 <= asyncio.run(run()) < 2.0
    assert len(server.bodies) == 4


def test_no_more_requests_are_in_flight_than_allowed(server):
    server.failure = lambda number: "0.02"
    assert len(answers(generator(server, in_flight=3), [request(n) for n in range(9)])) == 9
    assert server.most == 3


def test_a_server_that_is_gone_ends_the_run_resumably(server):
    server.failure = lambda number: 503
    with pytest.raises(
        InfrastructureError, match=r"has not answered for \d s \(503: failure 503 server_error"
    ):
        answer(generator(server, retry_seconds=0.3))
    with pytest.raises(InfrastructureError, match="asks to wait 99 s"):
        server.failure = lambda number: (429, {"Retry-After": "99"})
        answer(generator(server))


def test_one_request_that_always_fails_is_no_end_of_the_server(server):
    server.failure = lambda number: 500 if "poison" in str(server.bodies[number]) else None

    async def run():
        made = generator(server, retry_seconds=0.6)
        await made.start()
        poison = asyncio.ensure_future(made.generate(request(0, Prompt("poison", chat=True)), Sampling()))
        while not poison.done():
            await made.generate(request(1), Sampling(max_tokens=2))
        await made.close()
        return poison.exception()

    failed = asyncio.run(run())
    assert isinstance(failed, RequestFailedError)
    assert "problem p" in str(failed)


def test_a_server_that_is_not_there_is_said_at_the_start(server):
    server.stop()
    with pytest.raises(InfrastructureError, match=r"has not answered for 0 s \(ConnectError"):
        answer(generator(server, retry_seconds=0.0))


def test_a_key_is_sent_and_never_repeated(server, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    server.key = KEY
    monkeypatch.setenv("THE_KEY", KEY)
    assert answer(generator(server, api_key_env="THE_KEY")).tokens == 8
    assert server.headers["Authorization"] == f"Bearer {KEY}"
    server.key = "another"
    with pytest.raises(UserError, match=r"refuses the key in THE_KEY \(401\): .*\*\*\*") as refused:
        answer(generator(server, api_key_env="THE_KEY"))
    assert KEY not in str(refused.value) + caplog.text


def test_a_key_that_is_not_set_or_not_named_is_said(server, monkeypatch):
    monkeypatch.delenv("THE_KEY", raising=False)
    with pytest.raises(UserError, match="THE_KEY, which must hold the key of the server but is not set"):
        answer(generator(server, api_key_env="THE_KEY"))
    server.key = KEY
    monkeypatch.setenv("OPENAI_API_KEY", KEY)  # is for OpenAI's own server
    with pytest.raises(UserError, match="asks for a key: name its environment variable in api_key_env"):
        answer(generator(server))
    assert KEY not in str(server.headers)


def test_a_model_that_the_server_does_not_have_is_said_with_those_that_it_has(server):
    server.models = ["small", "large"]
    with pytest.raises(UserError, match=r"has no model tiny \(it serves small, large\): The model `tiny`"):
        answer(generator(server))


@pytest.mark.parametrize("listed", [["tiny:latest"], []])
def test_a_model_is_known_by_its_short_name_or_where_nothing_is_listed(server, listed):
    server.models = listed
    server.complete = lambda path, body: (200, {"choices": [{"message": {"content": "x"}}]})
    assert answer(generator(server)).text == "x"
    assert len(server.bodies) == 1


def test_a_prompt_that_is_too_long_or_refused_concerns_its_problem(server):
    server.context = 100
    account = Bill()
    with pytest.raises(PromptTooLongError, match="that of problem p does not: This model's maximum"):
        answer(generator(server), request(0, Prompt("word " * 200, chat=True)), account=account)
    assert account.used == server.billed == {}
    server.refused_fields = {"messages": "blocked by our content management policy"}
    with pytest.raises(PromptRefusedError, match="refuses the content of problem p"):
        answer(generator(server))


def test_an_answer_takes_what_the_context_leaves(server):
    server.context = 20
    found = answer(generator(server), sampling=Sampling(max_tokens=50))
    assert (found.tokens, found.finish_reason) == (17, "length")


def test_fields_that_a_server_does_not_know_are_left_out(server):
    server.refused_fields = {
        "seed": "Unsupported parameter: seed",
        "max_tokens": "Unsupported parameter: use 'max_completion_tokens' instead.",
    }
    assert answer(generator(server)).tokens == 8
    assert "seed" not in server.bodies[-1]
    assert server.bodies[-1]["max_completion_tokens"] == 8


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (418, r"refuses the request \(418\): failure 418"),
        (402, "has no credit left for this key"),
        ("html", "must speak OpenAI's protocol but sent an answer without a completion: <html>"),
        (404, "has no model tiny"),
    ],
)
def test_what_is_the_job_s_fault_is_not_repeated(server, failure, message):
    server.failure = lambda number: failure
    with pytest.raises(UserError, match=message):
        answer(generator(server))
    assert len(server.bodies) == 1


def test_a_quota_that_is_used_up_is_not_waited_for(server):
    server.complete = lambda path, body: (
        429,
        error("You exceeded your current quota", "insufficient_quota"),
    )
    with pytest.raises(UserError, match="has no credit left"):
        answer(generator(server))


def test_a_server_that_counts_more_than_was_reserved_is_an_error_where_it_matters(server):
    server.overhead = 600

    class Limited(Bill):
        def overdrawn(self, worst, used):
            return used.prompt_tokens > worst.prompt_tokens

    assert answer(generator(server)).prompt_tokens == 603
    with pytest.raises(UserError, match=r"raise engine.prompt_overhead by at least 75"):
        answer(generator(server), account=Limited())
    assert answer(generator(server, engine={"prompt_overhead": 700}), account=Limited()).tokens == 8


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ({"messages": []}, "engine must not state messages"),
        ({"n": 3, "stream": True}, "engine must not state n, stream"),
        ({"logprobs": 3}, "engine.logprobs must be true or false but got 3"),
        ({"prompt_overhead": "much"}, "engine.prompt_overhead must be a number of tokens"),
    ],
)
def test_an_engine_argument_that_cannot_be_is_said(engine, message):
    with pytest.raises(UserError, match=message):
        generator("http://localhost:1/v1", engine=engine)


def test_a_server_needs_an_address():
    with pytest.raises(UserError, match="needs base_url"):
        OpenAIGenerator.from_settings(GeneratorSettings("m"))
