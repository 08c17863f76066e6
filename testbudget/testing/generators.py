"""Conformance suite of generators.

Each check takes a function that creates a generator and raises ``AssertionError`` with a sentence if the
generator breaks the contract of `Generator`. ``CHECKS`` holds them all::

    @pytest.mark.parametrize("check", CHECKS)
    def test_my_generator_keeps_the_contract(check):
        check(lambda: create_generator("my_generator", GeneratorSettings("some/model")))

A generator with a model costs its start in every check.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from testbudget.executors.generation.base import (
    Completion,
    Generator,
    Prompt,
    PromptTooLongError,
    Request,
    Sampling,
)
from testbudget.rewards.seeds import derive_seed

MakeGenerator = Callable[[], Generator]
"""Type of a function that creates a generator, which is not started yet."""

_Result = TypeVar("_Result")

_PROMPTS = (
    Prompt("def add(a, b):\n    ", chat=False),
    Prompt("def double(x):\n    ", chat=False),
)
_SAMPLING = Sampling(max_tokens=16)
_GREEDY = Sampling(temperature=0, top_p=1, max_tokens=16)
_REASONS = ("stop", "length")


def check_every_request_gets_one_completion(make: MakeGenerator) -> None:
    """Many requests at once get one completion each, of the types and ranges of `Completion`."""

    async def work(generator: Generator) -> list[Completion]:
        return await _all(generator, [_request(number) for number in range(32)], _SAMPLING)

    for completion in _with(make, work):
        _require_valid(completion, _SAMPLING)


def check_a_completion_depends_on_its_request_alone(make: MakeGenerator) -> None:
    """Without sampling, a prompt gets the same answer alone, among others and from a new generator."""

    async def alone(generator: Generator) -> str:
        return (await generator.generate(_request(0), _GREEDY)).text

    async def among_others(generator: Generator) -> str:
        others = [_request(number) for number in (1, 3, 0, 2)]
        return (await _all(generator, others, _GREEDY))[2].text

    async def again(generator: Generator) -> tuple[str, str]:
        renamed = replace(_request(0), problem="another", index=9)
        return await alone(generator), (await generator.generate(renamed, _GREEDY)).text

    texts = [_with(make, alone), _with(make, among_others), *_with(make, again)]
    _require(
        len(set(texts)) == 1,
        "a prompt must get the same answer alone, among others and from a new generator but got "
        f"{' and '.join(map(repr, dict.fromkeys(texts)))}",
    )


def check_a_stop_string_ends_an_answer(make: MakeGenerator) -> None:
    """The answer ends before the first stop string, which is not part of it."""

    async def work(generator: Generator) -> tuple[str, str, Completion]:
        whole = (await generator.generate(_request(0), _GREEDY)).text
        stop = whole[len(whole) // 2 :][:2]
        sampling = replace(_GREEDY, stop=(stop,) if stop else ("\0",))
        return whole, stop, await generator.generate(_request(0), sampling)

    whole, stop, completion = _with(make, work)
    if stop:
        _require(
            stop not in completion.text and whole.startswith(completion.text),
            f"an answer {whole!r} must end before the stop string {stop!r} but got {completion.text!r}",
        )
        _require(
            completion.finish_reason == "stop",
            f"an answer that a stop string ended must say stop but says {completion.finish_reason!r}",
        )


def check_a_limit_on_tokens_cuts_an_answer(make: MakeGenerator) -> None:
    """An answer of one token has at most one, and says so if it was cut off."""
    shortest = replace(_SAMPLING, max_tokens=1)

    async def work(generator: Generator) -> list[Completion]:
        return await _all(generator, [_request(number) for number in range(4)], shortest)

    for completion in _with(make, work):
        _require_valid(completion, shortest)


def check_a_long_prompt_concerns_one_request(make: MakeGenerator) -> None:
    """A prompt of a million words is refused by `PromptTooLongError` or answered; others go on."""
    long = replace(_request(0), prompt=Prompt("word " * 1_000_000, chat=False))

    async def work(generator: Generator) -> list[Completion | BaseException]:
        requests = (long, _request(1))
        work = [generator.generate(request, _SAMPLING) for request in requests]
        return list(await asyncio.gather(*work, return_exceptions=True))

    first, second = _with(make, work)
    _require(
        isinstance(first, Completion | PromptTooLongError),
        f"a long prompt must be answered or refused by PromptTooLongError but raised {first!r}",
    )
    _require(
        isinstance(second, Completion),
        f"a short prompt beside a long one must be answered but raised {second!r}",
    )


def check_a_cancelled_request_harms_no_other(make: MakeGenerator) -> None:
    """Requests that are cancelled, as after a time limit, leave a generator that answers others."""

    async def work(generator: Generator) -> Completion:
        tasks = [asyncio.ensure_future(generator.generate(_request(n), _SAMPLING)) for n in range(8)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return await generator.generate(_request(9), _SAMPLING)

    _require_valid(_with(make, work), _SAMPLING)


def check_tokens_are_counted_in_time(make: MakeGenerator) -> None:
    """A counted answer is that of `generate`, and at most ``tokens_ahead`` of its tokens are uncounted."""
    counts: list[int] = []

    async def work(generator: Generator) -> tuple[Completion, Completion, int]:
        plain = await generator.generate(_request(0), _GREEDY)
        counted = await generator.generate_counted(_request(0), _GREEDY, counts.append)
        return plain, counted, generator.tokens_ahead(_GREEDY)

    plain, counted, ahead = _with(make, work)
    _require(
        plain.text == counted.text,
        f"generate_counted must answer as generate does but got {counted.text!r} and {plain.text!r}",
    )
    _require(
        all(isinstance(new, int) and new >= 0 for new in counts),
        f"each count must be a number of new tokens but got {counts}",
    )
    told = sum(counts)
    _require(
        math.isnan(counted.tokens) or told <= counted.tokens <= told + ahead,
        f"of an answer's {counted.tokens} tokens all but {ahead} must be counted, and none twice, but "
        f"{told} were",
    )


def check_close_may_be_called_at_any_time(make: MakeGenerator) -> None:
    """A generator can be closed before its start, after it, and again."""

    async def work() -> None:
        generator = make()
        await generator.close()
        generator = make()
        await generator.start()
        await generator.close()
        await generator.close()

    try:
        asyncio.run(work())
    except Exception as error:
        raise AssertionError(f"close must work at any time but raised {error!r}") from error


CHECKS: Sequence[Callable[[MakeGenerator], None]] = (
    check_every_request_gets_one_completion,
    check_a_completion_depends_on_its_request_alone,
    check_a_stop_string_ends_an_answer,
    check_a_limit_on_tokens_cuts_an_answer,
    check_a_long_prompt_concerns_one_request,
    check_a_cancelled_request_harms_no_other,
    check_tokens_are_counted_in_time,
    check_close_may_be_called_at_any_time,
)
"""All checks of the suite."""


def _request(number: int) -> Request:
    prompt = _PROMPTS[number % len(_PROMPTS)]
    return Request(f"problem {number % 3}", number, prompt, derive_seed(0, "conformance", "", number))


async def _all(generator: Generator, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
    return list(await asyncio.gather(*(generator.generate(one, sampling) for one in requests)))


def _with(make: MakeGenerator, work: Callable[[Generator], Awaitable[_Result]]) -> _Result:
    """Result of work with a started generator, which is closed afterwards."""

    async def run() -> _Result:
        generator = make()
        try:
            await generator.start()
            return await work(generator)
        finally:
            await generator.close()

    return asyncio.run(run())


def _require_valid(completion: Completion, sampling: Sampling) -> None:
    _require(isinstance(completion, Completion), f"an answer must be a Completion but is {completion!r}")
    _require(isinstance(completion.text, str), f"text must be a string but is {completion.text!r}")
    _require(
        math.isnan(completion.tokens) or 0 <= completion.tokens <= sampling.max_tokens,
        f"tokens must be NaN or from 0 to {sampling.max_tokens} but got {completion.tokens}",
    )
    _require(
        completion.gpu_seconds >= 0 and math.isfinite(completion.gpu_seconds),
        f"gpu_seconds must be at least 0 and finite but got {completion.gpu_seconds}",
    )
    _require(
        completion.finish_reason in _REASONS,
        f"finish_reason must be one of {', '.join(_REASONS)} but got {completion.finish_reason!r}",
    )


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise AssertionError(sentence)
