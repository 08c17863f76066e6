"""Pools of Ray actors: calls are distributed, held back, and repeated on another actor."""

import sys
import threading

import pytest
import ray
from ray import cloudpickle

from testbudget.executors.pools import Pool, translate_ray_errors
from testbudget.rewards.errors import InfrastructureError, SandboxError, UserError


class BlockRunner:
    """Runner whose sandbox fails on some blocks."""

    def __init__(self, *broken: str) -> None:
        self._broken = broken

    def run(self, block: str) -> str:
        if block in self._broken:
            raise SandboxError(f"the sandbox failed on {block}")
        return block.upper()


class Waiter:
    """Actor whose calls end when another call releases them."""

    def __init__(self) -> None:
        self._released = threading.Event()

    def wait(self, key: int) -> int:
        self._released.wait()
        return key

    def release(self) -> None:
        self._released.set()


@pytest.fixture(scope="module", autouse=True)
def _ray():
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def runner_failing_on(*blocks):
    return ray.remote(BlockRunner).options(num_cpus=0).remote(*blocks)


def collect_all(pool) -> dict:
    results = {}
    while pool.references:
        (done,), _ = ray.wait(pool.references)
        results |= dict([collected] if (collected := pool.collect(done)) else [])
    return results


def test_a_pool_holds_calls_back_and_distributes_them():
    actors = [ray.remote(Waiter).options(num_cpus=0, max_concurrency=4).remote() for _ in range(2)]
    pool = Pool(actors, "wait", in_flight=2)
    for key in range(5):
        pool.submit(key, key, load=2)
    assert len(pool.references) == 2
    ray.get([actor.release.remote() for actor in actors])
    collected = []
    while pool.references:
        (done,), _ = ray.wait(pool.references)
        collected.append(pool.collect(done))
        assert len(pool.references) <= 2
    pool.close()
    assert sorted(collected) == [(key, key) for key in range(5)]


def test_a_call_that_exceeds_the_load_limit_alone_is_made():
    pool = Pool([runner_failing_on()], "run", in_flight=2)
    pool.submit("a", "a", load=5)
    assert collect_all(pool) == {"a": "A"}
    pool.close()


def test_a_call_that_fails_on_one_actor_is_made_on_another():
    pool = Pool(
        [runner_failing_on("a", "c"), runner_failing_on()],
        "run",
        in_flight=2,
        movable=(SandboxError,),
    )
    for block in ("a", "b", "c", "d"):
        pool.submit(block, block)
    assert collect_all(pool) == {block: block.upper() for block in "abcd"}
    pool.close()


def test_a_call_that_fails_twice_on_the_only_actor_raises_its_error():
    pool = Pool([runner_failing_on("a")], "run", in_flight=2, movable=(SandboxError,))
    pool.submit("a", "a")
    with pytest.raises(SandboxError, match="the sandbox failed on a"):
        collect_all(pool)
    pool.close()


def test_a_call_that_fails_on_two_actors_raises_its_error():
    pool = Pool([runner_failing_on("a") for _ in range(3)], "run", in_flight=2, movable=(SandboxError,))
    pool.submit("a", "a")
    with pytest.raises(SandboxError):
        collect_all(pool)
    pool.close()


def test_an_error_that_the_actor_did_not_cause_is_raised_at_once():
    pool = Pool([runner_failing_on("a"), runner_failing_on()], "run", in_flight=2, movable=(KeyError,))
    pool.submit("a", "a")
    with pytest.raises(SandboxError):
        collect_all(pool)
    pool.close()


@pytest.mark.parametrize(
    ("raised", "translated"),
    [
        (UserError("the job is invalid"), UserError),
        (ValueError("the sandbox is gone"), InfrastructureError),
    ],
)
def test_errors_of_remote_calls_are_translated(raised, translated):
    @ray.remote(num_cpus=0)
    def fail():
        raise raised

    with pytest.raises(translated, match=str(raised)):
        translate_ray_errors(lambda: ray.get(fail.remote()))


def test_a_lost_actor_is_an_infrastructure_error():
    actor = runner_failing_on()
    ray.kill(actor)
    with pytest.raises(InfrastructureError):
        translate_ray_errors(lambda: ray.get(actor.run.remote("a")))
