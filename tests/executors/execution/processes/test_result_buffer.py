import os
import signal

import pytest

from testbudget.executors.execution.processes.result_buffer import ResultBuffer, ResultBufferFullError

SIZE, HEADER_SIZE, RECORD_SIZE = 32 << 20, 32, 8
CAPACITY = SIZE - HEADER_SIZE - RECORD_SIZE  # bytes of the longest text


@pytest.fixture
def buffer():
    return ResultBuffer()


def test_each_step_has_its_own_texts(buffer):
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


def test_texts_survive_a_sudden_end_of_the_process(buffer):
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


def test_clearing_erases_all_texts(buffer):
    assert buffer.progress().step < 0
    buffer.begin(0)
    buffer.append(0, b"x" * (2 << 20))
    buffer.clear()
    assert buffer.steps(1)[0].texts == []
    assert buffer.progress().step < 0


def test_a_text_of_the_whole_capacity_fits(buffer):
    buffer.begin(0)
    buffer.append(0, bytes(CAPACITY))
    assert buffer.steps(1)[0].texts == [bytes(CAPACITY)]


def test_a_text_that_does_not_fit_is_refused_and_the_others_kept(buffer):
    buffer.begin(0)
    buffer.append(0, b"first")
    with pytest.raises(ResultBufferFullError):
        buffer.append(0, bytes(CAPACITY))
    assert buffer.steps(1)[0].texts == [b"first"]


@pytest.mark.parametrize("garbage", [b"\xff", b"\0", b"\x7f\xff\xff\xff"])
def test_any_content_of_the_buffer_can_be_read(buffer, garbage):
    os.pwrite(buffer.descriptor, garbage * 100_000, 0)
    assert all(len(text) <= CAPACITY for step in buffer.steps(3) for text in step.texts)


def test_no_process_can_shrink_the_memory(buffer):
    with pytest.raises(PermissionError):
        os.ftruncate(buffer.descriptor, 0)
