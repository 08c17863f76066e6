"""The checked-in bundle belongs to the sources in viewer/, and stays small."""

import hashlib
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
BUNDLE = ROOT / "analysis" / "view" / "bundle"
VIEWER = ROOT / "viewer"


def test_the_bundle_was_made_from_the_sources():
    fixed = ["build.mjs", "package-lock.json", "package.json", "tsconfig.json"]
    digest = hashlib.sha256()
    for name in sorted([*fixed, *(f"src/{path.name}" for path in (VIEWER / "src").iterdir())]):
        digest.update(name.encode() + b"\0" + (VIEWER / name).read_bytes() + b"\0")
    made_from = (BUNDLE / "sources.sha256").read_text().strip()
    assert made_from == digest.hexdigest(), "the sources in viewer/ changed: make view"


def test_the_bundle_is_small_and_names_no_host():
    assert sum(path.stat().st_size for path in BUNDLE.iterdir()) < 700_000
    lock = (VIEWER / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    program = (BUNDLE / "main.js").read_text()
    assert set(re.findall(r"https?://[\w.]+", program)) <= {"http://www.w3.org", "https://github.com"}


def test_licences_of_all_parts_are_named():
    text = (BUNDLE / "THIRD_PARTY.txt").read_text()
    for part in ("preact 11", "@observablehq/plot", "@tanstack/virtual-core", "highlight.js", "d3-array"):
        assert part in text
    assert "No licence file" not in text or text.count("No licence file") < 3
