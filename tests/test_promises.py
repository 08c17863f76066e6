"""The promises of docs/sandbox.md name tests that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests" / "executors" / "execution"
ROWS = re.findall(r"^\| (.+?) \| .+? \| (.+) \|$", (ROOT / "docs" / "sandbox.md").read_text(), re.M)
NAMED = {promise: re.findall(r"`([\w/.]+)`", held) for promise, held in ROWS}
HELD = {promise: names for promise, names in NAMED.items() if re.search("test_|corpus/", " ".join(names))}


def test_there_are_promises():
    assert len(HELD) > 12


@pytest.mark.parametrize("promise", HELD)
def test_a_promise_is_held_by_a_test(promise):
    missing = [
        name for name in HELD[promise] if not (TESTS / name).exists() and not list(TESTS.rglob(name))
    ]
    assert missing == []
