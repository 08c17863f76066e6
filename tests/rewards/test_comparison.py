import pytest

from testbudget.rewards.comparison import DEFAULT_COMPARISON, Comparison, TextComparison
from testbudget.rewards.errors import UserError

CHECKER = "def checker(input, expected, actual):\n    return True"


@pytest.mark.parametrize(
    "comparison",
    [
        DEFAULT_COMPARISON,
        Comparison(text=TextComparison.TOKENS, absolute=1e-6, relative=0.1),
        Comparison(checker=CHECKER),
    ],
)
def test_a_comparison_survives_as_text(comparison):
    assert Comparison.from_text(comparison.as_text()) == comparison


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"absolute": -1}, "comparison.absolute must be at least 0 and finite but got -1"),
        ({"relative": float("nan")}, "comparison.relative must be at least 0 and finite but got nan"),
        ({"checker": "def checker(:"}, "comparison.checker must be a Python program but found: invalid"),
        ({"checker": "def check(): pass"}, "must define checker\\(input, expected, actual\\)"),
        ({"checker": "def checker(i, e): return True"}, r"must define .* but defines checker\(i, e\)"),
        ({"checker": "def checker(i, e, a, *, k): return True"}, r"must define .* but defines checker"),
        ({"checker": ""}, "must define checker\\(input, expected, actual\\)"),
    ],
)
def test_a_mistake_is_one_sentence(fields, sentence):
    with pytest.raises(UserError, match=sentence):
        Comparison(**fields)


@pytest.mark.parametrize(
    ("comparison", "expected", "given", "agree"),
    [
        (DEFAULT_COMPARISON, 1.0, 1, True),
        (DEFAULT_COMPARISON, 1.0, 1.0000001, False),
        (Comparison(absolute=0.1), 1.0, 1.1, True),
        (Comparison(absolute=0.1), 1.0, 1.11, False),
        (Comparison(relative=0.1), 100, 110, True),
        (Comparison(relative=0.1), 100, 111, False),
        (Comparison(relative=0.1), 0, 1e-9, False),
        (Comparison(absolute=1e-6, relative=0.1), 0, 1e-7, True),
        (Comparison(relative=1e-12), 10**300, 10**300 + 1, True),
    ],
)
def test_numbers_agree_within_the_larger_tolerance(comparison, expected, given, agree):
    assert comparison.numbers_agree(expected, given) is agree
