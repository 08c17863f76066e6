import os
import signal

import pytest

from executors.execution.arena import ROOM, Arena, ArenaFullError


@pytest.fixture
def arena():
    arena = Arena()
    arena.clear()
    return arena


def test_steps_keep_their_texts_apart(arena):
    for step, texts in enumerate(([b"a", b""], [], [b"b"])):
        arena.begin(step)
        for text in texts:
            arena.append(step, text)
        arena.finish(step)
    assert [(step.texts, step.finished) for step in arena.steps(4)] == [
        ([b"a", b""], True),
        ([], True),
        ([b"b"], True),
        ([], False),
    ]


def test_what_was_left_before_a_sudden_end_is_there(arena):
    process = os.fork()
    if process == 0:
        arena.begin(0)
        arena.loaded()
        arena.append(0, b"left")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(process, 0)
    assert arena.steps(1)[0].texts == [b"left"]
    assert not arena.steps(1)[0].finished
    assert (arena.progress().step, arena.progress().loaded) == (0, True)


def test_nothing_is_left_once_cleared(arena):
    arena.begin(0)
    arena.append(0, b"x" * (2 << 20))
    arena.clear()
    assert arena.steps(1)[0].texts == []
    assert arena.progress().step < 0


def test_what_does_not_fit_is_refused_and_the_rest_kept(arena):
    arena.begin(0)
    arena.append(0, b"first")
    with pytest.raises(ArenaFullError):
        arena.append(0, bytes(ROOM))
    assert arena.steps(1)[0].texts == [b"first"]


@pytest.mark.parametrize("garbage", [b"\xff", b"\0", b"\x7f\xff\xff\xff"])
def test_whatever_a_process_writes_there_can_be_read(arena, garbage):
    os.pwrite(arena.descriptor, garbage * 100_000, 0)
    assert all(len(text) <= ROOM for step in arena.steps(3) for text in step.texts)


def test_no_process_can_cut_the_memory_short(arena):
    with pytest.raises(PermissionError):
        os.ftruncate(arena.descriptor, 0)
