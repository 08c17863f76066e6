import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbudget.rewards.comparison import Comparison, TextComparison
from testbudget.rewards.printed_text import first_difference, normal_text, texts_agree

LINES = Comparison()
EXACT = Comparison(text=TextComparison.EXACT)
TOKENS = Comparison(text=TextComparison.TOKENS)
UNORDERED = Comparison(text=TextComparison.UNORDERED_LINES)
NEAR = Comparison(absolute=1e-6)
NEAR_EXACT = Comparison(text=TextComparison.EXACT, absolute=1e-6)
NEAR_UNORDERED = Comparison(text=TextComparison.UNORDERED_LINES, absolute=1e-5)
RELATIVE = Comparison(text=TextComparison.TOKENS, relative=0.01)


@pytest.mark.parametrize(
    ("comparison", "expected", "printed", "agree"),
    [
        (LINES, "1 2\n3\n", "1 2 \r\n3\t\n\n  \n", True),
        (LINES, "1 2", "1  2", False),
        (LINES, "1\n2", "1\n\n2", False),
        (LINES, "", "\n \n", True),
        (LINES, "a\u00a0\n", "a\n", False),
        (EXACT, "1\n", "1\n", True),
        (EXACT, "1\n", "1", False),
        (TOKENS, "1 2\n3", " 1\n2\t3\n", True),
        (TOKENS, "1 2", "12", False),
        (TOKENS, "1 2", "1 2 3", False),
        (UNORDERED, "b\na\na\n", "a \nb\na", True),
        (UNORDERED, "a\nb", "b\nb", False),
        (UNORDERED, "a\nb", "b", False),
        (NEAR, "x 1.0\n2", "x 1.0000009\n1.9999991", True),
        (NEAR, "x 1.0", "x 1.00001", False),
        (NEAR, "1.000001", "1.000002", True),
        (NEAR, "x 1.0", "y 1.0", False),
        (NEAR, "1 2", "1\n2", False),
        (NEAR, "1 2", "1 2 3", False),
        (NEAR, "nan inf -inf", "NaN +Infinity -INF", True),
        (NEAR, "inf", "-inf", False),
        (NEAR, "inf", "1e400", False),
        (NEAR, "nan", "0", False),
        (NEAR, "12345678901234567890", "12345678901234567891", False),
        (NEAR, "1_0", "10", False),
        (NEAR_EXACT, "1.0 2\n", "1.0000001 2\n", True),
        (NEAR_EXACT, "1.0  2\n", "1.0 2\n", False),
        (NEAR_UNORDERED, "1 5\n1.0000001 3", "1.0000001 5\n1.0 3", True),
        (NEAR_UNORDERED, "1 5\n1 3", "1 5\n1 5", False),
        (RELATIVE, "100 0", "101 0", True),
        (RELATIVE, "100", "101.5", False),
        (RELATIVE, "0", "0.001", False),
    ],
)
def test_texts_agree_as_their_comparison_says(comparison, expected, printed, agree):
    assert texts_agree(comparison, expected, printed) is agree


@given(st.text(alphabet=" \t\r\n1a.-", max_size=30), st.text(alphabet=" \t\r\n1a.-", max_size=30))
def test_without_a_tolerance_texts_agree_if_their_normal_forms_are_equal(first, second):
    for comparison in (LINES, EXACT, TOKENS, UNORDERED):
        forms = [normal_text(comparison, text) for text in (first, second)]
        assert texts_agree(comparison, first, second) is (forms[0] == forms[1])
        assert normal_text(comparison, forms[0]) == forms[0]
        near = Comparison(text=comparison.text, relative=1e-12)
        assert texts_agree(near, first, second) or not texts_agree(comparison, first, second)


@pytest.mark.parametrize(
    ("comparison", "expected", "printed", "difference"),
    [
        (LINES, "a\nb\nc", "a \nx\nc", ("line", 2, "b", "x")),
        (LINES, "a\nb", "a", ("line", 2, "b", "")),
        (LINES, "a", "a\n\nb", ("line", 2, "", "")),
        (LINES, "a", "ab", ("line", 1, "a", "ab")),
        (LINES, "", "x", ("line", 1, "", "x")),
        (LINES, "a\nbcd", "a\nbxd", ("line", 2, "bcd", "bxd")),
        (EXACT, "a\nb\n", "a\nb", ("line", 2, "b\n", "b")),
        (TOKENS, "a b c", "a\nx c", ("token", 2, "b", "x")),
        (NEAR, "1\n2\n3", "1.0000001\n2\n4", ("line", 3, "3", "4")),
        (UNORDERED, "a\nb", "a\nc", None),
    ],
)
def test_the_first_difference_is_told(comparison, expected, printed, difference):
    assert first_difference(comparison, expected, printed) == difference


@pytest.mark.parametrize(
    "text",
    [
        " " * (1 << 20) + "x",
        (" " * 1000 + "x") * 1000,
        "1" * (1 << 20) + "x",
        "1." * (1 << 19),
        "\n" * (1 << 20),
    ],
    ids=["blanks", "runs of blanks", "digits", "points", "line ends"],
)
def test_no_text_takes_quadratic_time(text):
    started = time.process_time()
    for kind, tolerance in itertools.product(TextComparison, (0.0, 0.1)):
        comparison = Comparison(text=kind, absolute=tolerance)
        texts_agree(comparison, f"{text}y", f"{text}z")
        normal_text(comparison, text)
    assert time.process_time() - started < 60
