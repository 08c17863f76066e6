"""Requests of an engine under a lease, on a clock of the test."""

import asyncio
import math
import random
import time

import pytest

from testbudget.executors.actors import GeneratorActor
from testbudget.executors.generation.base import Completion, Generator, Prompt, Request, Sampling
from testbudget.executors.generation.engine_lease import EngineLease, smallest_engine_lease
from testbudget.executors.metering import LeaseEndedError, Meter, Usage

AHEAD = 5


class Engine(Generator):
    """Generator with an engine of its own: each step generates a token for every request in progress.

    It counts tokens every ``every`` steps, and an aborted request is computed for ``late`` more steps, as
    in an engine in another process. ``generated`` is its own count, which no meter sees.
    """

    def __init__(self, every=3, late=2):
        self.generated = 0
        self._every, self._late = every, late
        self._late_requests = []

    def tokens_ahead(self, sampling):
        return AHEAD

    async def generate(self, request, sampling):
        return await self.generate_counted(request, sampling, lambda tokens: None)

    async def generate_counted(self, request, sampling, count):
        uncounted = 0
        try:
            for _ in range(sampling.max_tokens):
                await asyncio.sleep(0)
                self.generated += 1
                uncounted += 1
                if uncounted == self._every:
                    count(uncounted)
                    uncounted = 0
        except asyncio.CancelledError:
            self.generated += self._late
            raise
        return Completion(f"{request.problem}/{request.index}", sampling.max_tokens, 0.0, "length")


class SaysAtTheEnd(Engine):
    """Engine that counts no token before the end."""

    tokens_ahead = Generator.tokens_ahead

    async def generate_counted(self, request, sampling, count):
        return await super().generate_counted(request, sampling, lambda tokens: None)


def requests(count, problem="p"):
    return [Request(problem, index, Prompt("", chat=False), index) for index in range(count)]


async def started(engine, *, metered=True, gpus=0.0):
    actor = GeneratorActor(lambda: engine, 60.0, gpus, 8, metered)
    await actor.start()
    return actor


def test_a_metered_engine_does_not_begin_without_a_lease():
    async def run():
        engine = Engine()
        actor = await started(engine)
        with pytest.raises(LeaseEndedError):
            await actor.generate(requests(1), Sampling())
        assert engine.generated == 0
        assert (await actor.report()).used == Usage()

    asyncio.run(run())


@pytest.mark.parametrize("engine", [Engine, SaysAtTheEnd])
@pytest.mark.parametrize("seed", range(10))
def test_tokens_never_pass_the_lease_and_all_that_the_engine_generated_is_charged(engine, seed):
    draw = random.Random(seed)
    lease = draw.randrange(1, 600)

    async def run():
        generator = engine()
        actor = await started(generator)
        await actor.lease(Usage(lease, math.inf, math.inf))
        sampling = Sampling(max_tokens=draw.randrange(1, 60))
        work = [actor.generate(requests(draw.randrange(1, 4), f"p{n}"), sampling) for n in range(12)]
        results = await asyncio.gather(*work, return_exceptions=True)
        used = (await actor.report()).used.tokens
        assert all(isinstance(result, list | LeaseEndedError) for result in results)
        assert generator.generated <= used <= lease
        return results

    assert asyncio.run(run())


def test_work_that_the_end_of_a_lease_has_aborted_is_done_under_the_next_one():
    async def run():
        engine = Engine()
        actor = await started(engine)
        await actor.lease(Usage(60.0, math.inf, math.inf))
        with pytest.raises(LeaseEndedError) as ended:
            await actor.generate(requests(3), Sampling(max_tokens=40))
        assert ended.value.until.tokens == 60.0
        assert (await actor.report()).used.tokens == 60.0  # the rest is charged while it is of no use
        used = 3 * (14 + AHEAD)  # each had 14 tokens counted when less than 4 * AHEAD were left
        await actor.lease(Usage(1000.0, math.inf, math.inf))
        answers = await actor.generate(requests(3), Sampling(max_tokens=40))
        assert [answer.text for answer in answers] == ["p/0", "p/1", "p/2"]
        assert (await actor.report()).used.tokens == used + 3 * 40

    asyncio.run(run())


def test_a_call_that_needs_more_than_a_lease_begins_when_all_of_it_may_and_costs_nothing_before():
    async def run():
        engine = SaysAtTheEnd()
        actor = await started(engine)
        sampling, lease = Sampling(max_tokens=40), 0.0
        while lease <= 3 * 40:  # two requests, and once more the most that one has not counted
            lease += 45.0
            await actor.lease(Usage(lease, math.inf, math.inf))
            if lease <= 3 * 40:
                with pytest.raises(LeaseEndedError):
                    await actor.generate(requests(2), sampling)
                assert engine.generated == 0
        assert len(await actor.generate(requests(2), sampling)) == 2
        assert engine.generated == 80
        assert (await actor.report()).used.tokens == 90.0  # of leases that have ended

    asyncio.run(run())


def test_a_lease_that_is_renewed_in_time_ends_nothing():
    async def run():
        engine = Engine()
        actor = await started(engine)
        await actor.lease(Usage(50.0, math.inf, math.inf))
        answering = asyncio.ensure_future(actor.generate(requests(2), Sampling(max_tokens=200)))
        while not answering.done():
            await asyncio.sleep(0)
            await actor.lease(Usage((await actor.report()).used.tokens + 50.0, math.inf, math.inf))
        assert len(await answering) == 2
        assert (await actor.report()).used.tokens == 400.0

    asyncio.run(run())


def test_the_smallest_lease_lets_a_request_be_answered():
    async def run():
        sampling = Sampling(max_tokens=40)
        actor = await started(Engine())
        smallest = smallest_engine_lease(40, Engine().tokens_ahead(sampling), 1.0)
        await actor.lease(smallest)
        assert len(await actor.generate(requests(1), sampling)) == 1
        assert smallest.gpu_seconds > 1.0

    asyncio.run(run())


class Clock:
    """Time of an event loop and of a lease, moved by the test."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_gpu_seconds_are_busy_time_times_gpus():
    async def run():
        clock = Clock()
        meter = Meter(metered=False)
        lease = EngineLease(meter, 2.0, 4, clock)
        done = asyncio.Event()

        async def answer(count):
            await done.wait()
            return Completion("", 100, 0.0, "stop")

        clock.now = 7.0  # idle
        both = [asyncio.ensure_future(lease.run(answer, *lease.begin(1, 0))) for _ in range(2)]
        await asyncio.sleep(0)
        clock.now += 3.0
        lease.update()
        assert meter.used.gpu_seconds == 6.0
        clock.now += 1.0
        done.set()
        await asyncio.gather(*both)
        clock.now += 50.0  # idle
        lease.update()
        assert meter.used == Usage(200.0, 8.0, 0.0)
        assert lease.slice == Usage(5 * 200 / 4.0, 10.0, 0.0)

    asyncio.run(run())


def test_requests_are_aborted_before_the_gpu_seconds_end():
    async def run():
        meter = Meter()
        meter.lease(Usage(math.inf, 0.5, math.inf))
        started = time.monotonic()

        def clock():  # five times as slow, so that a busy machine is not late
            return (time.monotonic() - started) / 5

        lease = EngineLease(meter, 1.0, 4, clock)

        async def answer(count):
            await asyncio.Event().wait()

        for _ in range(2):  # the second does not begin
            with pytest.raises(LeaseEndedError):
                await lease.run(answer, *lease.begin(1, 0))
        assert clock() < 0.5
        assert meter.charged.gpu_seconds == 0.5

    asyncio.run(run())


def test_a_call_that_its_caller_cancels_charges_what_may_have_been_generated():
    async def run():
        engine = Engine()
        actor = await started(engine)
        await actor.lease(Usage(1000.0, math.inf, math.inf))
        answering = asyncio.ensure_future(actor.generate(requests(2), Sampling(max_tokens=500)))
        while engine.generated < 40:
            await asyncio.sleep(0)
        answering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await answering
        assert engine.generated <= (await actor.report()).used.tokens <= engine.generated + 2 * AHEAD

    asyncio.run(run())
