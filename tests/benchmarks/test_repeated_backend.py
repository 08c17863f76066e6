"""Back end that repeats recorded problems: a job of any number of problems runs on it from start to end."""

import pytest

from testbudget.scheduler.job import Job
from testbudget.scheduler.run import start_run
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.reason_tables import read_reasons
from testbudget.traces.tables import read_trace

ENTRY_POINTS = {"testbudget.backends": {"repeated": "repeated_backend:RepeatedBackend"}}


@pytest.fixture
def backend(script, recorded, install_plugin, monkeypatch):
    module = script("repeated_backend")
    install_plugin("repeated", ENTRY_POINTS, {})
    monkeypatch.setattr(module, "CANDIDATES", 3)
    monkeypatch.setattr(module, "RECORDED_TESTS", 4)
    monkeypatch.setattr(
        module.RepeatedBackend,
        "recorded",
        module.RecordedProblems(recorded.directory, recorded.problems),
        raising=False,
    )
    return module


def test_a_run_of_more_problems_than_are_recorded_ends_with_all_its_tables(backend, script, tmp_path):
    recorded, count = backend.RepeatedBackend.recorded, 7
    backend.write_problems(recorded, count, tmp_path / "problems.jsonl")
    fields = script("size")._job(tmp_path, count, 3)
    fields["candidates"]["count"] = 3
    directory = start_run(Job.model_validate(fields), tmp_path / "run")
    trace = read_trace(directory)
    assert list(trace.problems) == [f"p/{number}" for number in range(count)]
    assert {len(seen.tests) for seen in trace.problems.values()} == {3}
    assert read_outputs(directory).keys() <= trace.problems.keys()
    assert len(read_reasons(directory)) == count
    first, again = trace.problems["p/0"], trace.problems[f"p/{len(recorded.problems)}"]
    assert [test.text for test in first.tests.values()] == [test.text for test in again.tests.values()]
