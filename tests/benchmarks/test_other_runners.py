"""Other methods give correct verdicts, and reach neither files nor the network."""

from pathlib import Path

import pytest

from .programs import BROKEN, CORRECT, LOOPING, TEST, WRONG


@pytest.mark.parametrize("method", ["coderm", "bare_fork", "fresh_python", "evalplus"])
def test_every_method_gives_correct_verdicts(script, method):
    other_runners = script("other_runners")
    if not other_runners.is_installed(method):
        pytest.skip("not installed")
    with other_runners.OtherRunner(method) as runner:
        timed = runner.run(
            [other_runners.Pair(code, TEST) for code in (CORRECT, WRONG, BROKEN, LOOPING, CORRECT)]
        )
    assert timed.passed == [True, False, False, False, True]


def test_a_method_can_read_no_file_outside_and_reach_no_network(script):
    other_runners = script("other_runners")
    reads = f"def double(x): return open({str(Path(__file__))!r}) and 2 * x"
    connects = "import socket\ndef double(x): return socket.socket() and 2 * x"
    with other_runners.OtherRunner("bare_fork") as runner:
        pairs = [other_runners.Pair(reads, TEST), other_runners.Pair(connects, TEST)]
        assert runner.run(pairs).passed == [False, False]
