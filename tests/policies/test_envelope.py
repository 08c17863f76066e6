import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbudget.policies.curves import envelope_slopes

CURVES = st.lists(st.integers(0, 16).map(lambda share: share / 16), min_size=1, max_size=12)


def hull_heights(curve):
    """The least concave curve above this one, by the chord over each point."""
    points = range(len(curve))
    return [
        max(
            curve[left]
            if left == right
            else (curve[left] * (right - at) + curve[right] * (at - left)) / (right - left)
            for left in points[: at + 1]
            for right in points[at:]
        )
        for at in points
    ]


@given(CURVES)
def test_slopes_are_those_of_the_least_concave_curve_above_and_none_falls(curve):
    (slopes,) = envelope_slopes(np.array([curve]))
    expected = np.maximum(np.diff(hull_heights(curve)), 0)
    np.testing.assert_allclose(slopes, expected, atol=1e-12)


@given(st.lists(CURVES, min_size=1, max_size=4))
def test_each_curve_has_the_slopes_that_it_has_alone_and_none_beyond_its_end(curves):
    longest = max(map(len, curves))
    padded = np.full((len(curves), longest), np.nan)
    for row, curve in zip(padded, curves, strict=True):
        row[: len(curve)] = curve
    for slopes, curve in zip(envelope_slopes(padded), curves, strict=True):
        np.testing.assert_array_equal(slopes[: len(curve) - 1], envelope_slopes(np.array([curve]))[0])
        assert (slopes[len(curve) - 1 :] == 0).all()


@given(CURVES)
def test_slopes_never_rise(curve):
    assert (np.diff(envelope_slopes(np.array([curve]))[0]) <= 0).all()


@pytest.mark.parametrize("curves", [np.zeros(3), np.zeros((2, 0)), np.array([[np.nan, 1.0]])])
def test_what_is_no_curve_is_refused(curves):
    with pytest.raises(ValueError, match="start with a number"):
        envelope_slopes(curves)
