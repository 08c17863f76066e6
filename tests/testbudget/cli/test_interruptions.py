import os
import signal

import pytest

from testbudget.cli.interruptions import Interruptions


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_request_to_end_is_a_keyboard_interrupt(number):
    before = signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), Interruptions():
            os.kill(os.getpid(), number)
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)


def test_an_interrupt_waits_for_the_end_of_what_must_not_be_torn_apart():
    done = []
    with Interruptions() as interruptions, pytest.raises(KeyboardInterrupt):
        with interruptions.held():
            with interruptions.held():
                os.kill(os.getpid(), signal.SIGTERM)
            done.append("inner")
            done.append("outer")
        done.append("after")
    assert done == ["inner", "outer"]


def test_a_second_interrupt_waits_for_nothing():
    done = []
    with Interruptions() as interruptions, pytest.raises(KeyboardInterrupt), interruptions.held():
        os.kill(os.getpid(), signal.SIGTERM)
        done.append("first")
        os.kill(os.getpid(), signal.SIGTERM)
        done.append("second")
    assert done == ["first"]


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interruptions():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
