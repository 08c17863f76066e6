"""The page of a comparison, a study or a training, in a real browser."""

import math

import pytest

from testbudget.analysis.tables import Table
from testbudget.analysis.view.study_page import (
    ReliabilityBin,
    Series,
    bars_block,
    heading_block,
    lines_block,
    predictions_block,
    table_block,
    text_block,
    write_study_page,
)
from tests.analysis.view.conftest import WIDTHS, wait_until_drawn

LONG = "a combination with a name that is long, " * 3
BLOCKS = [
    text_block("What was compared </script>"),
    lines_block(
        "Accuracy",
        [
            Series("one", [1, 2, 4], [0.5, 0.6, math.nan], [0.4, 0.5, math.nan], [0.6, 0.7, math.nan]),
            Series(LONG, [1, 2, 4], [0.4, 0.5, 0.6], [0.3, 0.4, 0.5], [0.5, 0.6, 0.7]),
        ],
        levels=[("a right candidate exists", 0.8)],
    ),
    bars_block("Tests", ["hard", "easy"], [("one", [3.0, 1.0]), ("two", [2.0, 2.0])]),
    table_block(Table("Figures", ["name", *"abcdefgh"], [[LONG, *"12345678"], ["all"]], {0}, {1})),
    heading_block("Predictions"),
    predictions_block("Pass rate", [0.1, 0.9], [0.0, 1.0], [ReliabilityBin(0.5, 0.5, 0.2, 0.8, 2)]),
    table_block(Table("Every figure", ["name"], [["x"]]), folded=True),
]


def test_every_block_is_shown_at_every_width_and_axe_finds_nothing(tmp_path, tab, show):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    write_study_page("A comparison", BLOCKS, tmp_path / "page.html")
    show(tmp_path / "page.html")
    assert tab.inner_text("h1") == "A comparison"
    assert "What was compared </script>" in tab.inner_text("main")
    assert tab.locator("main svg[role=img]").count() == 3
    assert tab.locator("details:not(.figures) > summary").inner_text() == "Every figure"
    for width in WIDTHS:
        tab.set_viewport_size({"width": width, "height": 900})
        wait_until_drawn(tab)
        over = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert tab.evaluate(over) <= 0, width
    violations = axe.run(tab).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in violations] == []
    tab.locator("details.figures").first.locator("summary").click()
    assert "60.0 %" in tab.locator("details.figures").first.inner_text()
