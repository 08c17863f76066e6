import os
import signal

import pytest

from testbudget.executors.execution.processes.result_buffer import (
    CAPACITY,
    ResultBuffer,
    ResultBufferFullError,
)


@pytest.fixture
def buffer():
    buffer = ResultBuffer()
    buffer.clear()
    return buffer


def test_steps_keep_their_texts_apart(buffer):
    for step, texts in enumerate(([b"a", b""], [], [b"b"])):
        buffer.begin(step)
        for text in texts:
            buffer.append(step, text)
        buffer.finish(step)
    assert [(step.texts, step.finished) for step in buffer.steps(4)] == [
        ([b"a", b""], True),
        ([], True),
        ([b"b"], True),
        ([], False),
    ]


def test_what_was_left_before_a_sudden_end_is_there(buffer):
    process = os.fork()
    if process == 0:
        buffer.begin(0)
        buffer.mark_loaded()
        buffer.append(0, b"left")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(process, 0)
    assert buffer.steps(1)[0].texts == [b"left"]
    assert not buffer.steps(1)[0].finished
    assert (buffer.progress().step, buffer.progress().loaded) == (0, True)


def test_nothing_is_left_once_cleared(buffer):
    buffer.begin(0)
    buffer.append(0, b"x" * (2 << 20))
    buffer.clear()
    assert buffer.steps(1)[0].texts == []
    assert buffer.progress().step < 0


def test_what_does_not_fit_is_refused_and_the_rest_kept(buffer):
    buffer.begin(0)
    buffer.append(0, b"first")
    with pytest.raises(ResultBufferFullError):
        buffer.append(0, bytes(CAPACITY))
    assert buffer.steps(1)[0].texts == [b"first"]


@pytest.mark.parametrize("garbage", [b"\xff", b"\0", b"\x7f\xff\xff\xff"])
def test_whatever_a_process_writes_there_can_be_read(buffer, garbage):
    os.pwrite(buffer.descriptor, garbage * 100_000, 0)
    assert all(len(text) <= CAPACITY for step in buffer.steps(3) for text in step.texts)


def test_no_process_can_cut_the_memory_short(buffer):
    with pytest.raises(PermissionError):
        os.ftruncate(buffer.descriptor, 0)
