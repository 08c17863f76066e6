"""Fixtures of the work of a run: a manual back end, and problems with an empty log."""

import pytest

from testbudget.scheduler.event_log import LOG_FILE, Entry, EventLog
from testbudget.scheduler.evidence_store import EvidenceStore
from testbudget.scheduler.run_problems import RunProblems
from testbudget.scheduler.work.open_work import OpenWork
from testbudget.traces.tables import read_trace

from .manual_backend import ManualBackend


@pytest.fixture
def backend():
    return ManualBackend()


@pytest.fixture
def open_work(backend):
    return OpenWork(backend)


@pytest.fixture
def trace(recorded):
    return read_trace(recorded.directory)


@pytest.fixture
def log(tmp_path):
    with EventLog(tmp_path / LOG_FILE, durable=False) as opened:
        yield opened


@pytest.fixture
def problems(recorded, log):
    return RunProblems(recorded.problems, EvidenceStore(log))


@pytest.fixture
def keep(log, problems):
    """Function that logs answers and applies them to the store."""

    def kept(answers):
        entries = [Entry(answer.event, 0.0, answer.records) for answer in answers]
        log.append(entries)
        for entry in entries:
            problems.store.apply(entry)

    return kept
