"""Data of a page, as its program reads them."""

import base64
import gzip
import json
import re
from pathlib import Path


def page_data(path: Path) -> dict:
    """The index of a page."""
    (text,) = re.findall(
        r'<script type="text/plain" id="index">([^<]*)</script>', path.read_text(encoding="utf-8")
    )
    return json.loads(gzip.decompress(base64.b64decode(text)))


def blocks_of(path: Path, kind: str) -> list[dict]:
    """The blocks of one kind on the page of a comparison, a study or a training."""
    return [block for block in page_data(path)["blocks"] if block["type"] == kind]


def cells_of(path: Path) -> set[str]:
    """All cells of all tables on such a page."""
    return {cell for table in blocks_of(path, "table") for row in table["rows"] for cell in row}
