"""Batches under a lease and a time limit, with an end of the process that the test sees."""

import math
import threading
import time

import pytest

from testbudget.executors.batch_lease import BatchLease, extractor_slice, smallest_extractor_lease
from testbudget.executors.metering import LeaseEndedError, Meter, Usage


class Ends:
    """End of a process: the reason, and what was charged then."""

    def __init__(self, meter):
        self._meter = meter
        self.reason = None
        self.used = None
        self.happened = threading.Event()

    def __call__(self, reason):
        self.reason, self.used = reason, self._meter.used
        self.happened.set()


def test_a_batch_on_gpus_ends_before_its_lease():
    meter = Meter()
    meter.lease(Usage(math.inf, 1.0, math.inf))
    ends = Ends(meter)
    with BatchLease(meter, 2.0, 1, 60.0, ends).batch(time.process_time):
        ends.happened.wait()
    assert "has ended with the worker's lease" in ends.reason
    assert 0 < ends.used.gpu_seconds < 1.0


def test_a_batch_on_cpus_ends_before_its_lease():
    meter = Meter()
    meter.lease(Usage(math.inf, math.inf, 0.5))
    ends = Ends(meter)
    started = time.process_time()
    with BatchLease(meter, 0.0, 1, 60.0, ends).batch(time.process_time):
        while not ends.happened.is_set():
            sum(range(1000))
        assert time.process_time() - started < 0.5
    assert 0 < ends.used.cpu_seconds < 0.5


def test_a_batch_that_takes_too_long_ends():
    meter = Meter(metered=False)
    ends = Ends(meter)
    with BatchLease(meter, 0.0, 1, 0.1, ends).batch(time.process_time):
        ends.happened.wait()
    assert ends.reason == "a batch took 0.1 s"


def test_a_renewed_lease_ends_no_batch():
    meter = Meter()
    meter.lease(Usage(math.inf, 0.5, math.inf))
    ends = Ends(meter)
    lease = BatchLease(meter, 1.0, 1, 60.0, ends)
    with lease.batch(time.process_time):
        while meter.used.gpu_seconds < 0.7:
            lease.update()
            meter.lease(Usage(math.inf, meter.used.gpu_seconds + 0.5, math.inf))
    assert not ends.happened.is_set()
    assert 0.7 <= meter.used.gpu_seconds <= meter.until.gpu_seconds


@pytest.mark.parametrize("gpus", [0.0, 2.0])
def test_the_smallest_lease_lets_a_batch_begin_and_a_smaller_rest_is_used_up(gpus):
    meter = Meter()
    lease = BatchLease(meter, gpus, 4, 60.0, Ends(meter))
    smallest = smallest_extractor_lease(gpus, 4)
    meter.lease(Usage(*(amount / 20 for amount in smallest)))
    with pytest.raises(LeaseEndedError), lease.batch(time.process_time):
        raise AssertionError
    assert meter.charged == meter.until
    meter.lease(Usage(*map(sum, zip(meter.used, smallest, strict=True))))
    with lease.batch(time.process_time):
        pass
    assert extractor_slice(gpus, 4) == (Usage(gpu_seconds=10.0) if gpus else Usage(cpu_seconds=20.0))
