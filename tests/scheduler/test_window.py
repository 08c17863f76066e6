"""Look-ahead of a run, which follows from its job alone."""

import pytest

from testbudget.scheduler.job_file import check_job
from testbudget.scheduler.window import window_and_quantum

DYNAMIC = {"policy": {"name": "adaptive"}}
STATIC = {"policy": {"name": "uniform"}}
METERED = {"cap": {"tests": 100, "gpu_seconds": 10}}
MODEL = {"name": "m", "template": "coderm", "actors": 2, "in_flight": 64}


@pytest.mark.parametrize(
    ("fields", "problems", "expected"),
    [
        ({"tests": {"model": MODEL}, **METERED}, 100, (16 * 128, 25)),
        ({"tests": {"model": MODEL}, **METERED}, 5000, (5000, 32)),
        ({"execution": {"runners": 2}, **DYNAMIC}, 10, (16 * 8, 2)),
        (DYNAMIC, 10, (16 * 64, 2)),
        (DYNAMIC, 1000, (16 * 64, 16)),
        (STATIC, 1000, (2**62, 16)),
        ({"cap": {"executions": 100}, **STATIC}, 1000, (2**62, 16)),
        ({"policy": {"window": 1}}, 10, (1, 1)),
        ({"policy": {"quantum": 9999}, **METERED}, 10, (9999, 9999)),
        ({"policy": {"window": 7, "quantum": 3}}, 10, (7, 3)),
    ],
)
def test_window_and_quantum_follow_from_the_concurrent_requests(tmp_path, fields, problems, expected):
    job = check_job(
        {
            "problems": {"source": "humaneval"},
            "candidates": {"from_run": "trace"},
            "tests": {"from_run": "trace"},
            "cap": {"tests": 100},
            **fields,
        },
        tmp_path,
    )
    assert window_and_quantum(job, problems) == expected
