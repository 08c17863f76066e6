"""Plots as inline SVG."""

import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from testbudget.analysis.plots import ReliabilityBin, Series, as_svg, by_tests, reliability, scatter
from testbudget.rewards.errors import UserError

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg):
    return ["".join(element.itertext()) for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def accuracy(low=0.3):
    return by_tests(
        [
            Series("uniform", [1, 3], [0.4, 0.5], [low, 0.4], [0.5, 0.6]),
            Series("greedy & learned", [1, 3], [0.3, 0.6], [0.2, 0.5], [0.4, 0.7]),
        ],
        measure="accuracy",
        levels=[("upper bound", 0.9)],
    )


def test_a_plot_is_one_svg_element_whose_text_is_text():
    svg = as_svg(accuracy())
    assert svg.startswith("<svg")
    assert {"uniform", "greedy & learned", "accuracy", "tests per problem", "upper bound", "1", "3"} <= set(
        texts(svg)
    )


def test_the_same_figure_is_the_same_text_and_another_is_not():
    assert as_svg(accuracy()) == as_svg(accuracy())
    assert as_svg(accuracy()) != as_svg(accuracy(low=0.35))


def test_text_has_the_colour_of_the_page():
    svg = as_svg(accuracy())
    assert "currentColor" in svg
    assert "#010203" not in svg


def test_a_scatter_has_a_dot_for_each_problem():
    drawn = scatter(np.linspace(0, 1, 7), np.linspace(0, 1, 7) ** 2, quantity="pass rate")
    (dots,) = drawn.axes[0].collections
    np.testing.assert_allclose(dots.get_offsets()[:, 1], np.linspace(0, 1, 7) ** 2)
    assert {"predicted pass rate", "measured pass rate"} <= set(texts(as_svg(drawn)))


def test_a_reliability_plot_has_a_dot_and_an_interval_for_each_bin():
    bins = [ReliabilityBin(0.2, 0.3, 0.1, 0.4, 10), ReliabilityBin(0.8, 0.7, 0.6, 0.9, 40)]
    intervals, dots = reliability(bins, quantity="gain", limits=(-1, 1)).axes[0].collections
    np.testing.assert_allclose(dots.get_offsets(), [[0.2, 0.3], [0.8, 0.7]])
    np.testing.assert_allclose(
        intervals.get_segments(), [[[0.2, 0.1], [0.2, 0.4]], [[0.8, 0.6], [0.8, 0.9]]]
    )
    assert dots.get_sizes()[1] == 4 * dots.get_sizes()[0]


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UserError, match=r"drawing plots needs matplotlib.*testbudget\[report\]"):
        accuracy()
