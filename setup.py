"""Metadata that is made when the package is built: the README, and the address of the repository.

A package index shows the README away from the repository, so its relative links become addresses in the
repository that TESTBUDGET_REPOSITORY names. Without one their text stays, without links.
"""

import os
import runpy
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).parent
REPOSITORY = os.environ.get("TESTBUDGET_REPOSITORY", "").rstrip("/")
absolute_links = runpy.run_path(str(ROOT / "docs" / "making" / "links.py"))["absolute_links"]

setup(
    long_description=absolute_links((ROOT / "README.md").read_text(encoding="utf-8"), "", None, REPOSITORY),
    long_description_content_type="text/markdown",
    project_urls={"Source": REPOSITORY, "Changes": f"{REPOSITORY}/blob/HEAD/CHANGELOG.md"}
    if REPOSITORY
    else {},
)
