"""The published suite: a whole generator passes it; one that breaks a part of the contract fails."""

import asyncio

import pytest

from testbudget.executors.generation.base import Completion, Generator, PromptTooLongError
from testbudget.testing import generators as suite
from testbudget.testing.generators import CHECKS


class Echo(Generator):
    """Answers with the words of the prompt."""

    def __init__(self):
        self.started = False

    async def start(self):
        self.started = True

    async def generate(self, request, sampling):
        await asyncio.sleep(0)
        if len(request.prompt.text) > 1000:
            raise PromptTooLongError("too long")
        words = f"return {request.prompt.text}".split()
        text, reason = " ".join(words[: sampling.max_tokens]), "length"
        if len(words) <= sampling.max_tokens:
            reason = "stop"
        ends = [text.find(stop) for stop in sampling.stop if stop in text]
        if ends:
            text, reason = text[: min(ends)], "stop"
        return Completion(text, len(text.split()), 0.0, reason)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_whole_generator_keeps_the_contract(check):
    check(Echo)


def test_the_suite_holds_every_check():
    assert {check.__name__ for check in CHECKS} == {
        name for name in vars(suite) if name.startswith("check_")
    }


class Changed(Echo):
    def change(self, completion, request):
        return completion

    async def generate(self, request, sampling):
        return self.change(await super().generate(request, sampling), request)


class EndlessTokens(Changed):
    def change(self, completion, request):
        return Completion(completion.text, 10_000, 0.0, "stop")


class NegativeTime(Changed):
    def change(self, completion, request):
        return Completion(completion.text, 1, -1.0, "stop")


class UnknownReason(Changed):
    def change(self, completion, request):
        return Completion(completion.text, 1, 0.0, "eos")


class Tuple(Changed):
    def change(self, completion, request):
        return (completion.text,)


class Counting(Changed):
    calls = 0

    def change(self, completion, request):
        self.calls += 1
        return Completion(f"{completion.text} {self.calls}", 1, 0.0, "stop")


class WithoutStops(Echo):
    async def generate(self, request, sampling):
        return Completion("return 1 + 2", 1, 0.0, "stop")


class Fragile(Echo):
    async def generate(self, request, sampling):
        if len(request.prompt.text) > 1000:
            raise ValueError("no room")
        return await super().generate(request, sampling)


class Unforgiving(Echo):
    broken = False

    async def generate(self, request, sampling):
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.broken = True
            raise
        return None if self.broken else await super().generate(request, sampling)


class CountsTwice(Echo):
    async def generate_counted(self, request, sampling, count):
        completion = await self.generate(request, sampling)
        count(2 * completion.tokens)
        return completion


class CountsNothing(Echo):
    def tokens_ahead(self, sampling):
        return 0


class ClosesOnce(Echo):
    async def close(self):
        if not self.started:
            raise RuntimeError("not started")
        self.started = False


@pytest.mark.parametrize(
    ("kind", "check", "sentence"),
    [
        (
            EndlessTokens,
            suite.check_every_request_gets_one_completion,
            "tokens must be NaN or from 0 to 16",
        ),
        (EndlessTokens, suite.check_a_limit_on_tokens_cuts_an_answer, "from 0 to 1 but got 10000"),
        (NegativeTime, suite.check_every_request_gets_one_completion, "gpu_seconds must be at least 0"),
        (UnknownReason, suite.check_every_request_gets_one_completion, "must be one of stop, length but"),
        (Tuple, suite.check_every_request_gets_one_completion, "an answer must be a Completion but is"),
        (Counting, suite.check_a_completion_depends_on_its_request_alone, "must get the same answer alone"),
        (WithoutStops, suite.check_a_stop_string_ends_an_answer, "must end before the stop string"),
        (Fragile, suite.check_a_long_prompt_concerns_one_request, "or refused by PromptTooLongError but"),
        (Unforgiving, suite.check_a_cancelled_request_harms_no_other, "must be a Completion but is None"),
        (CountsTwice, suite.check_tokens_are_counted_in_time, "none twice, but 8 were"),
        (CountsNothing, suite.check_tokens_are_counted_in_time, "all but 0 must be counted"),
        (ClosesOnce, suite.check_close_may_be_called_at_any_time, "close must work at any time but raised"),
    ],
)
def test_a_generator_that_breaks_the_contract_fails_with_a_sentence(kind, check, sentence):
    with pytest.raises(AssertionError, match=sentence):
        check(kind)
