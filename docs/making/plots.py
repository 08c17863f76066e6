"""Draw docs/pictures/accuracy.svg and reliability.svg from docs/pictures/plots.json.

python docs/making/plots.py             draws
python docs/making/plots.py --measure   measures plots.json anew on the recordings, which takes minutes

Accuracy: equal budgets, greedy with a learned predictor, and adaptive, each with the rule calibrated, on
random permutations of the recorded tests. Reliability: p_correct of picks after 1, 2, 3, 5, 8, 12 and 20
tests, before the level of a batch, by tenths of p_correct; a problem is judged by models that were fitted
without it.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PICTURES = Path(__file__).parents[1] / "pictures"
FIGURES = PICTURES / "plots.json"
RECORDINGS = {"humaneval": "HumanEval", "mbpp": "MBPP"}
POLICIES = ("uniform", "greedy", "adaptive")
COUNTS = (1, 2, 3, 5, 8, 12, 20)
PERMUTATIONS = 5
INK, PALE, GRID = "#1f2430", "#6b7280", "#e5e7eb"
COLOURS = {"uniform": "#6b7280", "greedy": "#c2410c", "adaptive": "#3f51b5"}
WIDTH, HEIGHT, LEFT, TOP, PANEL, RISE = 860, 396, 64, 84, 340, 226


def measure() -> dict[str, Any]:
    """Figures of both pictures, by recording."""
    import testbudget

    found: dict[str, Any] = {"permutations": PERMUTATIONS}
    for name in RECORDINGS:
        run = testbudget.load(PICTURES.parents[1] / "examples" / name)
        settings = testbudget.CompareSettings(
            policies=POLICIES[1:],
            selections=("calibrated",),
            predictors=("learned",),
            permutations=PERMUTATIONS,
        )
        cells = testbudget.compare(run, settings).grid
        found[name] = {
            "problems": len(run.trace.problems),
            "accuracy": {
                policy: [
                    [cell.tests_per_problem, *(round(one, 4) for one in _bounds(cell.accuracy))]
                    for cell in cells
                    if (cell.combination.selection, cell.combination.policy) == ("calibrated", policy)
                ]
                for policy in POLICIES
            },
            "reliability": _reliability(run),
        }
    return found


def _bounds(interval: Any) -> tuple[float, float, float]:
    return interval.value, interval.low, interval.high


def _reliability(run: Any) -> list[list[float]]:
    """Mean p_correct, share of right picks and number of picks of each tenth of p_correct."""
    import numpy as np

    from testbudget.rewards.selection.registry import selection_rule
    from testbudget.traces.learning_curves import (
        RecordedTests,
        compute_learning_curves,
        random_permutations,
    )
    from testbudget.traces.output_tables import read_outputs

    outputs = read_outputs(run.directory)
    recorded = [
        RecordedTests.of(seen, seen.correct, outputs.get(problem))
        for problem, seen in run.trace.problems.items()
        if seen.candidates and seen.correct is not None
    ]
    rng, pairs = np.random.default_rng(0), []
    for _ in range(PERMUTATIONS):
        for curve in compute_learning_curves(
            recorded, random_permutations(recorded, rng), selection_rule("calibrated")
        ):
            pairs += [
                (1 - curve.p_wrong[count], curve.accuracy[count])
                for count in COUNTS
                if count < len(curve.accuracy)
            ]
    p_correct, right = np.array(pairs).T
    tenth = np.minimum((p_correct * 10).astype(int), 9)
    return [
        [
            round(float(p_correct[tenth == k].mean()), 4),
            round(float(right[tenth == k].mean()), 4),
            int((tenth == k).sum()),
        ]
        for k in range(10)
        if (tenth == k).any()
    ]


def accuracy_picture(figures: dict[str, Any]) -> str:
    """Accuracy of the picks against tests per problem, a panel for each recording."""
    parts = [
        *_head(
            "Accuracy of the picks against tests per problem", "lines: mean over random orders of the tests"
        )
    ]
    for number, (name, title) in enumerate(RECORDINGS.items()):
        lines = figures[name]["accuracy"]
        values = [point[1] for line in lines.values() for point in line]
        most = max(point[0] for line in lines.values() for point in line)
        low, high = _round(min(values), -1), _round(max(values), 1)
        panel = _Panel(number, (0, most), (low, high))
        parts += panel.frame(f"{title}: {figures[name]['problems']} problems", "tests per problem")
        parts += panel.ticks(
            sorted({point[0] for line in lines.values() for point in line}), _steps(low, high)
        )
        for policy, line in lines.items():
            points = " ".join(f"{panel.x(tests):.1f},{panel.y(value):.1f}" for tests, value, *_ in line)
            colour = COLOURS[policy]
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
            for tests, value, *_ in line:
                x, y = panel.x(tests), panel.y(value)
                parts.append(
                    f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}">'
                    f"<title>{policy}, {tests:g} tests: {value:.1%}</title></circle>"
                )
    for place, policy in enumerate(POLICIES):
        x = LEFT + 130 * place
        parts.append(
            f'<line x1="{x}" x2="{x + 24}" y1="378" y2="378" stroke="{COLOURS[policy]}" stroke-width="3"/>'
        )
        parts.append(_text(x + 32, 383, policy))
    return "\n".join([*parts, "</svg>\n"])


def reliability_picture(figures: dict[str, Any]) -> str:
    """Share of right picks against p_correct, a panel for each recording."""
    parts = [
        *_head(
            "Share of right picks against p_correct",
            "area of a disc: number of picks; on the line, p_correct is right",
        )
    ]
    for number, (name, title) in enumerate(RECORDINGS.items()):
        panel = _Panel(number, (0, 1), (0, 1))
        parts += panel.frame(title, "p_correct of the pick")
        parts += panel.ticks([0, 0.5, 1], [0, 0.25, 0.5, 0.75, 1], share=True)
        ends = f'x1="{panel.x(0)}" y1="{panel.y(0)}" x2="{panel.x(1)}" y2="{panel.y(1)}"'
        parts.append(f'<line {ends} stroke="{PALE}" stroke-dasharray="4 4"/>')
        rows = figures[name]["reliability"]
        most = max(count for *_, count in rows)
        for p_correct, right, count in rows:
            x, y, radius = panel.x(p_correct), panel.y(right), 3 + 11 * (count / most) ** 0.5
            parts.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="#3f51b5" fill-opacity="0.75">'
                f"<title>p_correct {p_correct:.1%}: {right:.1%} right of {count:,} picks</title></circle>"
            )
    return "\n".join([*parts, "</svg>\n"])


class _Panel:
    """Axes of one of the two panels."""

    def __init__(self, number: int, xs: tuple[float, float], ys: tuple[float, float]) -> None:
        self._left = LEFT + number * (PANEL + 64)
        self._xs, self._ys = xs, ys

    def x(self, value: float) -> float:
        low, high = self._xs
        return self._left + PANEL * (value - low) / (high - low)

    def y(self, value: float) -> float:
        low, high = self._ys
        return TOP + RISE * (1 - (value - low) / (high - low))

    def frame(self, title: str, axis: str) -> list[str]:
        middle = self._left + PANEL / 2
        return [
            _text(self._left, TOP - 12, title, 15, bold=True),
            f'<text x="{middle}" y="{TOP + RISE + 38}" fill="{PALE}" text-anchor="middle">{axis}</text>',
        ]

    def ticks(self, xs: Sequence[float], ys: Sequence[float], *, share: bool = False) -> list[str]:
        found = []
        for value in ys:
            y = self.y(value)
            ends = f'x1="{self._left}" x2="{self._left + PANEL}" y1="{y:.1f}" y2="{y:.1f}"'
            found.append(f'<line {ends} stroke="{GRID}"/>')
            found.append(
                f'<text x="{self._left - 8}" y="{y + 4:.1f}" fill="{PALE}" font-size="12" '
                f'text-anchor="end">{100 * value:.0f} %</text>'
            )
        for value in xs:
            shown = f"{100 * value:.0f} %" if share else f"{value:g}"
            found.append(
                f'<text x="{self.x(value):.1f}" y="{TOP + RISE + 18}" fill="{PALE}" font-size="12" '
                f'text-anchor="middle">{shown}</text>'
            )
        return found


def _head(title: str, note: str) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        ' font-family="system-ui, sans-serif" font-size="14">',
        f"<title>{title}</title>",
        f"<desc>{title} on the two recordings; {note}.</desc>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="10" fill="#ffffff"/>',
        _text(24, 34, title, 18, bold=True),
        f'<text x="{WIDTH - 24}" y="34" fill="{PALE}" font-size="12" text-anchor="end">{note}</text>',
    ]


def _text(x: float, y: float, text: str, size: int = 14, *, bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x}" y="{y}" font-size="{size}" fill="{INK}"{weight}>{text}</text>'


def _round(value: float, way: int) -> float:
    """The next multiple of five points below, or above."""
    return (int(value * 20) + (way > 0)) / 20


def _steps(low: float, high: float) -> list[float]:
    return [low + 0.05 * k for k in range(round((high - low) / 0.05) + 1)]


PLOTS = {"accuracy.svg": accuracy_picture, "reliability.svg": reliability_picture}


def main(*, anew: bool) -> None:
    """Draw the pictures, from new figures if wanted."""
    if anew:
        FIGURES.write_text(json.dumps(measure(), indent=1) + "\n", encoding="utf-8")
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    for name, draw in PLOTS.items():
        (PICTURES / name).write_text(draw(figures), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--measure", action="store_true", help="measure plots.json anew (minutes)")
    main(anew=parser.parse_args().measure)
