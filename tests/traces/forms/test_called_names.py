"""Names that tests call."""

import pytest

from testbudget.traces.forms.called_names import called_names, only_called_name


def test_outer_calls_come_first_and_what_python_has_is_left_out():
    assert list(called_names("assert sorted(outer(inner(1))) == [len('a')]")) == ["outer", "inner"]
    assert list(called_names("assert outer(inner (1)")) == ["outer", "inner"]


@pytest.mark.parametrize(
    ("tests", "name"),
    [
        (["assert f(1)", "assert f(g(1))"], "f"),
        (["assert f(1)", "assert g(1)"], None),
        (["assert f(g(1))"], None),
        (["from math import floor\ndef g(x): return x\nh = g\nassert floor(f(g(h(1))))"], "f"),
        (["def check(candidate):\n    assert candidate(1)"], None),
        (["assert (f(1)"], None),
        ([], None),
    ],
)
def test_the_only_name_is_one_that_all_tests_call_and_none_defines(tests, name):
    assert only_called_name(tests) == name
