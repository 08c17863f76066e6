from pathlib import Path

import numpy as np
import pytest

from testbudget.rewards.errors import UserError
from testbudget.traces.votes_file import read_votes


def saved(path: Path, **arrays) -> Path:
    np.savez(path, **{name.replace("__", "/"): array for name, array in arrays.items()})
    return path


def refusal(file: Path) -> str:
    """Sentence with which a file is refused."""
    with pytest.raises(UserError) as caught:
        list(read_votes(file))
    message = str(caught.value)
    assert message.startswith(str(file))
    assert "\n" not in message
    return message


GOOD = {"votes": np.zeros((2, 3), np.int8), "correct": np.array([True, False])}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"votes": np.zeros(6, np.int8)}, "votes of problem a must be candidates x tests"),
        ({"votes": np.zeros((0, 3))}, "of at least one candidate"),
        ({"votes": np.full((2, 3), 2)}, "votes of problem a must be whole numbers from -1 to 1 but got 2"),
        ({"votes": np.full((2, 3), 0.5)}, "must be whole numbers from -1 to 1 but got 0.5"),
        ({"votes": np.full((2, 3), "x")}, "votes of problem a must be numbers but got <U1"),
        ({"votes": np.full((2, 3), None)}, "one of them is damaged or holds objects"),
        (
            {"correct": np.ones(3)},
            "correct of problem a must be candidates, shape (2,), but got the shape (3,)",
        ),
        ({"correct": None}, "problem a must have votes and correct but lacks correct"),
        ({"votes": None}, "problem a must have votes and correct but lacks votes"),
        (
            {"program": np.array([0, 0]), "votes": np.eye(2, 3)},
            "must be the same for candidates of one program",
        ),
        (
            {"program": np.array([0, 0]), "outputs": np.eye(2, 3)},
            "outputs of problem a must be the same for",
        ),
        ({"outputs": np.zeros((2, 4))}, "input_test of problem a must be given"),
        ({"outputs": np.zeros((2, 4)), "input_test": np.zeros(3)}, "shape (4,), but got the shape (3,)"),
        ({"outputs": np.zeros((2, 1)), "input_test": np.array([3])}, "tests from 0 to 2, or -1, but has 3"),
        ({"tokens": np.array([1, -1, 1])}, "tokens of problem a must be whole numbers from 0"),
        ({"gpu_seconds": np.array([1, np.nan, 1])}, "must be numbers from 0 to inf but got nan"),
        ({"predicted_pass_rate": np.float64(1.5)}, "must be numbers from 0 to 1 but got 1.5"),
        ({"predicted_pass_rate": np.ones(2)}, "must be one number, shape (), but got the shape (2,)"),
        ({"verdicts": np.zeros((2, 3))}, "but one is named 'verdicts/a'"),
    ],
)
def test_an_array_that_breaks_a_rule_is_refused(tmp_path, change, sentence):
    arrays = {f"{name}__a": array for name, array in (GOOD | change).items() if array is not None}
    assert sentence in refusal(saved(tmp_path / "v.npz", **arrays))


PACKED = {
    "ids": np.array(["a", "b"]),
    "candidates": np.array([2, 2]),
    "tests": np.array([3, 5]),
    "votes": np.zeros(3, np.uint8),
    "offsets": np.array([0, 1, 3]),
    "correct": np.zeros(4, np.bool_),
}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"ids": np.array(["a", "a"])}, "all different"),
        ({"ids": np.array(["a", " "])}, "every problem must have an id"),
        ({"ids": np.array([1, 2])}, "ids must be texts"),
        ({"ids": np.array([], np.str_)}, "at least one"),
        ({"tests": None}, "tests is missing"),
        ({"tests": np.array([3.0, 5.0])}, "one whole number for each of 2 problems"),
        ({"tests": np.array([3, -5])}, "one whole number for each of 2 problems"),
        ({"tests": np.array([3])}, "one whole number for each of 2 problems"),
        ({"tests": np.array([2**40, 5])}, "at most 16777216"),
        ({"tests": np.array([3, 9])}, "votes must have 4 bytes, those of all problems"),
        ({"votes": np.zeros(3, np.int16)}, "votes must be packed bits, uint8, but got int16"),
        ({"votes": None}, "lacks votes"),
        ({"offsets": np.array([0, 2, 3])}, "offsets must say at which byte"),
        ({"offsets": None}, "offsets must say at which byte"),
        ({"correct": np.zeros(5)}, "correct must have 4 entries"),
        (
            {"run": np.zeros(3, np.uint8), "votes": np.full(3, 255, np.uint8)},
            "must not be passed but one of problem a",
        ),
        ({"outputs": np.zeros(4)}, "outputs must have 0 entries"),
        ({"verdicts": np.zeros(4)}, "but one is named 'verdicts'"),
    ],
)
def test_a_packed_array_that_breaks_a_rule_is_refused(tmp_path, change, sentence):
    arrays = {name: array for name, array in (PACKED | change).items() if array is not None}
    assert sentence in refusal(saved(tmp_path / "v.npz", **arrays))


def test_the_unchanged_packed_arrays_are_read(tmp_path):
    first, second = read_votes(saved(tmp_path / "v.npz", **PACKED))
    assert (first.problem, second.problem) == ("a", "b")
    assert (first.votes.shape, second.votes.shape) == ((2, 3), (2, 5))


def test_the_unchanged_arrays_are_read(tmp_path):
    (read,) = read_votes(saved(tmp_path / "v.npz", **{f"{name}__a": array for name, array in GOOD.items()}))
    np.testing.assert_array_equal(read.votes, GOOD["votes"])
    np.testing.assert_array_equal(read.correct, GOOD["correct"])
    assert read.programs.tolist() == [0, 1]
    assert np.isnan(read.tokens).all()
    assert np.isnan(read.predicted_pass_rate)
