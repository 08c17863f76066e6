"""Rate limits on a clock of the test."""

import asyncio

import pytest

from testbudget.executors.generation.rate_limit import RateLimit


class Clock:
    """Clock that sleeping moves on."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        self.now += seconds


def times_of(limit, clock, tokens):
    async def run():
        times = []
        for amount in tokens:
            await limit.wait(amount)
            times.append(clock.now - 100.0)
        return times

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("requests", "tokens", "times"),
    [(None, None, [0, 0, 0]), (30, None, [0, 2, 4]), (None, 600, [0, 1, 6]), (30, 600, [0, 2, 7])],
)
def test_requests_are_spaced_by_both_limits(requests, tokens, times):
    clock = Clock()
    assert times_of(RateLimit(requests, tokens, clock, clock.sleep), clock, [10, 50, 1]) == times


def test_no_minute_has_more_requests_than_allowed():
    clock = Clock()
    times = times_of(RateLimit(120, None, clock, clock.sleep), clock, [0] * 500)
    assert max(sum(start <= time < start + 60 for time in times) for start in times) == 120


def test_tokens_that_were_not_used_are_given_back():
    clock = Clock()
    limit = RateLimit(None, 600, clock, clock.sleep)
    assert times_of(limit, clock, [100]) == [0]
    limit.correct(100, 20)
    assert times_of(limit, clock, [1]) == [pytest.approx(2)]


def test_a_server_is_left_alone_for_as_long_as_it_asks():
    clock = Clock()
    limit = RateLimit(None, None, clock, clock.sleep)
    limit.close_for(7)
    limit.close_for(3)
    assert times_of(limit, clock, [0, 0]) == [7, 7]
