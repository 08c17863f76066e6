"""Draw docs/pictures/budget.svg: one cap, spent across problems where the next test helps most.

python docs/making/picture.py
"""

from pathlib import Path

PICTURE = Path(__file__).parents[1] / "pictures" / "budget.svg"
WIDTH, HEIGHT, ROW, TOP = 860, 380, 58, 92
INK, PALE, RIGHT, WRONG, TEST = "#1f2430", "#6b7280", "#15803d", "#c2410c", "#3f51b5"
# Kind of a problem, candidates (True is right), tests that it gets, p_correct of its pick in percent.
PROBLEMS = (
    ("easy", (True, True, True, True, True, False), 1, 97),
    ("medium", (True, True, False, True, False, False), 5, 88),
    ("hard", (False, True, False, False, False, True), 8, 71),
    ("hopeless", (False, False, False, False, False, False), 2, 4),
)


def picture() -> str:
    """The picture as SVG, with its text as text."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        ' font-family="system-ui, sans-serif" font-size="15">',
        "<title>One cap is spent across four problems</title>",
        "<desc>A row for each problem: its candidates, the tests that it gets, and its pick.</desc>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="10" fill="#ffffff"/>',
        _text(24, 38, "One cap of 16 tests for all problems", 19, bold=True),
        _text(24, 70, "problem", color=PALE),
        _text(130, 70, "candidates of a code model", color=PALE),
        _text(370, 70, "tests: the next one goes where it helps most", color=PALE),
        _text(720, 70, "pick, p_correct", color=PALE),
    ]
    for number, (kind, candidates, tests, p_correct) in enumerate(PROBLEMS):
        y = TOP + ROW * number
        parts.append(f'<line x1="24" x2="{WIDTH - 24}" y1="{y - 10}" y2="{y - 10}" stroke="#e5e7eb"/>')
        parts.append(_text(24, y + 23, kind))
        for place, right in enumerate(candidates):
            parts.append(_dot(142 + 30 * place, y + 18, 9, right=right))
        parts += (
            f'<rect x="{370 + 38 * place}" y="{y + 5}" width="30" height="26" rx="4" fill="{TEST}"/>'
            for place in range(tests)
        )
        parts.append(_dot(732, y + 18, 9, right=any(candidates)))
        parts.append(_text(752, y + 23, f"{p_correct} %"))
    y = TOP + ROW * len(PROBLEMS) + 20
    parts += [
        _dot(34, y - 5, 7, right=True),
        _text(48, y, "right candidate", color=PALE),
        _dot(180, y - 5, 7, right=False),
        _text(194, y, "wrong candidate (the run does not know which is which)", color=PALE),
        _text(24, y + 26, "An example made for this picture, no measurement.", color=PALE),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _dot(x: int, y: int, radius: int, *, right: bool) -> str:
    fill, stroke = (RIGHT, RIGHT) if right else ("#ffffff", WRONG)
    return f'<circle cx="{x}" cy="{y}" r="{radius}" fill="{fill}" stroke="{stroke}" stroke-width="2"/>'


def _text(x: int, y: int, text: str, size: int = 15, *, color: str = INK, bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x}" y="{y}" font-size="{size}" fill="{color}"{weight}>{text}</text>'


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
