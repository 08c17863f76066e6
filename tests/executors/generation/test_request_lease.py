"""Requests to a server under a lease: what was sent is paid for, and the lease is never passed."""

import asyncio
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbudget.executors.actors import GeneratorActor
from testbudget.executors.generation.base import Completion, Prompt, PromptRefusedError, Request, Sampling
from testbudget.executors.generation.prepaid import PrepaidGenerator, TokenUse
from testbudget.executors.generation.request_lease import (
    USUAL_PROMPT_TOKENS,
    RequestLease,
    request_slice,
    smallest_request_lease,
)
from testbudget.executors.metering import LeaseEndedError, Meter, Usage
from testbudget.rewards.errors import InfrastructureError
from testbudget.scheduler.core.budget import Budget
from testbudget.scheduler.core.events import Cap, WorkerKind

WORST = TokenUse(100, 50)
AMOUNTS = st.integers(0, 300)


class Server(PrepaidGenerator):
    """Model that is answered or fails by a draw, and bills what it has done.

    Attributes:
        billed: tokens that the server charges for.
        sent: requests that were sent.
    """

    def __init__(self, seed=0, failures=0.3):
        self.billed, self.sent = [0, 0], 0
        self._draw, self._failures = random.Random(seed), failures

    async def generate_prepaid(self, request, sampling, account):
        while True:
            account.reserve(WORST)
            used = WORST
            self.sent += 1
            try:
                await asyncio.sleep(0)
                real = TokenUse(self._draw.randint(0, 100), self._draw.randint(0, 50))
                failure = self._draw.random() < self._failures and self._draw.choice(
                    ["free", "late", "lost"]
                )
                if failure == "free":
                    used = TokenUse()
                    continue
                if failure != "lost":
                    self.billed = [self.billed[0] + real.prompt_tokens, self.billed[1] + real.tokens]
                if failure:
                    continue
                used = real
                return Completion(f"{request.problem}/{request.index}", real.tokens, 0.0, "stop")
            finally:
                account.settle(WORST, used)


def requests(count, problem="p"):
    return [Request(problem, index, Prompt("", chat=False), index) for index in range(count)]


async def started(server, in_flight=4):
    actor = GeneratorActor(lambda: server, 60.0, 0.0, in_flight, True, WORST.tokens)
    await actor.start()
    return actor


@given(st.lists(st.tuples(AMOUNTS, AMOUNTS)), st.integers(0, 2000), st.integers(0, 2000))
def test_used_and_reserved_never_pass_the_lease(uses, tokens, prompt_tokens):
    meter = Meter()
    meter.lease(Usage(tokens=tokens, prompt_tokens=prompt_tokens))
    lease = RequestLease(meter, 4, 50)
    open_ = []
    for used in uses:
        worst = TokenUse(*(amount + 7 for amount in used))
        try:
            lease.reserve(worst)
        except LeaseEndedError:
            if not open_:
                assert meter.charged.tokens == tokens or meter.charged.prompt_tokens == prompt_tokens
                return
        else:
            open_.append((worst, TokenUse(*used)))
        if len(open_) > 2:
            lease.settle(*open_.pop(0))
        reserved = [sum(worst[kind] for worst, _ in open_) for kind in range(2)]
        assert meter.used.prompt_tokens + reserved[0] <= prompt_tokens
        assert meter.used.tokens + reserved[1] <= tokens


@pytest.mark.parametrize("seed", range(20))
def test_whatever_fails_what_the_server_bills_is_charged_and_stays_under_the_lease(seed):
    draw = random.Random(seed)
    lease = Usage(tokens=draw.randint(0, 2000), prompt_tokens=draw.randint(0, 4000))

    async def run():
        server = Server(seed)
        actor = await started(server)
        await actor.lease(lease._replace(gpu_seconds=math.inf, cpu_seconds=math.inf))
        work = [actor.generate(requests(draw.randint(1, 4), f"p{n}"), Sampling()) for n in range(8)]
        results = await asyncio.gather(*work, return_exceptions=True)
        assert all(isinstance(result, list | LeaseEndedError) for result in results)
        used = (await actor.report()).used
        assert server.billed[0] <= used.prompt_tokens <= lease.prompt_tokens
        assert server.billed[1] <= used.tokens <= lease.tokens

    asyncio.run(run())


def test_answers_that_are_paid_for_are_not_asked_for_again():
    async def run():
        server = Server(failures=0.0)
        actor = await started(server)
        await actor.lease(Usage(tokens=150, prompt_tokens=10_000))
        with pytest.raises(LeaseEndedError):
            await actor.generate(requests(5), Sampling())
        assert server.sent == 3  # side by side; the lease pays for no more
        await actor.lease(Usage(tokens=10_000, prompt_tokens=10_000))
        answers = await actor.generate(requests(5), Sampling())
        assert [answer.text for answer in answers] == [f"p/{index}" for index in range(5)]
        assert server.sent == 5

    asyncio.run(run())


def test_a_refused_prompt_is_an_empty_answer_and_another_failure_that_of_the_call():
    class Refusing(Server):
        async def generate_prepaid(self, request, sampling, account):
            if request.index == 1:
                raise PromptRefusedError("no")
            if request.index == 2:
                raise InfrastructureError("gone")
            return await super().generate_prepaid(request, sampling, account)

    async def run():
        actor = await started(Refusing(failures=0.0))
        await actor.lease(Usage(tokens=1000, prompt_tokens=1000))
        answers = await actor.generate(requests(2), Sampling())
        assert [answer.finish_reason for answer in answers] == ["stop", "refused"]
        with pytest.raises(InfrastructureError, match="gone"):
            await actor.generate(requests(3), Sampling())

    asyncio.run(run())


def test_a_slice_pays_for_two_rounds_of_requests_and_the_smallest_lease_for_one_request():
    assert request_slice(10, WORST) == Usage(tokens=1000, prompt_tokens=2000)
    smallest = smallest_request_lease(1, 50)
    assert smallest.tokens >= 50
    assert smallest.prompt_tokens >= USUAL_PROMPT_TOKENS


@pytest.mark.parametrize("seed", range(10))
def test_a_cap_in_dollars_is_kept_and_nearly_used_by_several_workers_that_fail_and_die(seed):
    draw = random.Random(seed)
    prices = {"prompt_tokens": 1e-6, "tokens": 4e-6}
    cap = draw.uniform(0.02, 0.2)
    budget = Budget(Cap({"usd": cap}, prices))

    async def run():
        servers, actors = {}, {}

        async def obey(leases):
            for lease in leases:
                await actors[lease.worker].lease(lease.until)

        async def join():
            worker = len(servers)
            servers[worker] = Server(draw.random())
            actors[worker] = await started(servers[worker], draw.randint(1, 8))
            await obey(budget.join(worker, WorkerKind.REWARD_MODEL, (await actors[worker].report()).slice))

        for _ in range(3):
            await join()
        for turn in range(3000):
            for worker, actor in list(actors.items()):
                work = [
                    actor.generate(requests(2, f"{turn}"), Sampling()) for _ in range(draw.randint(1, 3))
                ]
                await asyncio.gather(*work, return_exceptions=True)
                used, slice_ = await actor.report()
                await obey(budget.meter(worker, used, slice_))
                budget.validate()
            if draw.random() < 0.02:  # with what it has done since its last report
                lost = draw.choice(sorted(actors))
                await asyncio.gather(actors[lost].generate(requests(1), Sampling()), return_exceptions=True)
                del actors[lost]
                budget.lose(lost)
                await join()
            if budget.exhausted(WorkerKind.REWARD_MODEL):
                break
        billed = [server.billed for server in servers.values()]
        dollars = sum(
            prompt * prices["prompt_tokens"] + tokens * prices["tokens"] for prompt, tokens in billed
        )
        books = budget.books()
        assert dollars <= books.spent["usd"] + books.lost["usd"] <= cap * (1 + 1e-9)
        assert budget.exhausted(WorkerKind.REWARD_MODEL)

    asyncio.run(run())
