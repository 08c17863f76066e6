"""The docs site builds without a warning and loads nothing from elsewhere; the reference is the code's."""

import importlib.util
import json
import re
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

from testbudget.cli.options import leaf_fields
from testbudget.scheduler.job import Job

ROOT = Path(__file__).parents[1]
MAKING = ROOT / "docs" / "making"


def script(name):
    """A script of docs/making as a module."""
    spec = importlib.util.spec_from_file_location(name, MAKING / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Folder of the built site. Broken links and anchors, and pages without a place, end the build."""
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv("TESTBUDGET_REPOSITORY", raising=False)
        config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder))
        assert config.strict
        build(config)
    return folder


def test_broken_links_and_pages_without_a_place_end_the_build(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("[a](nowhere.md) [b](#nowhere) [c](other.md#nowhere)\n")
    (tmp_path / "docs" / "other.md").write_text("# Other\n")
    places = {"docs_dir": str(tmp_path / "docs"), "site_dir": str(tmp_path / "site")}
    config = load_config(str(ROOT / "mkdocs.yml"), nav=["index.md"], **places)
    with pytest.raises(Abort, match="4 warnings in strict mode"):
        build(config)


def test_every_page_is_built(site):
    pages = {page.stem for page in (ROOT / "docs").glob("*.md")}
    assert pages <= {page.stem for page in site.glob("*.html")}
    assert not list(site.rglob("*.py"))


def test_no_page_loads_anything_from_elsewhere(site):
    loaded = r'<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)="(?:https?:)?//[^"]*"'
    assert {page.name: re.findall(loaded, page.read_text()) for page in site.glob("*.html")} == {
        page.name: [] for page in site.glob("*.html")
    }
    assert all("@import" not in sheet.read_text() for sheet in site.rglob("*.css"))


def test_markdown_is_not_left_in_a_page(site):
    """Lists and tables that Markdown did not recognise show as text with their marks."""
    left = []
    for page in site.glob("*.html"):
        prose = re.sub(r"<(pre|code|script|style)\b.*?</\1>", "", page.read_text(), flags=re.DOTALL)
        left += [f"{page.name}: {mark}" for mark in re.findall(r"<p>[^<]*\n(?:- |\d+\. |\| ).*", prose)]
        left += [f"{page.name}: {mark}" for mark in re.findall(r"```.*|\]\([\w./#-]+\)", prose)]
    assert left == []


@pytest.mark.parametrize("page", ["job_file", "commands"])
def test_the_reference_is_that_of_the_code(page):
    made = getattr(script("reference"), f"{page}_page")()
    kept = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    assert made == kept, "run docs/making/reference.py"


def test_every_field_of_a_job_says_what_it_means():
    assert [name for name, field in leaf_fields(Job) if not field.description] == []


def test_the_picture_is_the_one_that_its_script_draws():
    picture = script("picture")
    assert picture.picture() == picture.PICTURE.read_text(encoding="utf-8")


def test_the_plots_are_those_of_their_figures():
    plots = script("plots")
    figures = json.loads(plots.FIGURES.read_text(encoding="utf-8"))
    for name, draw in plots.PLOTS.items():
        assert draw(figures) == (plots.PICTURES / name).read_text(encoding="utf-8"), (
            "run docs/making/plots.py"
        )


def test_links_out_of_the_pages_lead_to_the_repository_or_nowhere():
    links = script("links")
    text = "[a](../x.py) ![b](p.svg) [c](other.md#d) [e](https://f.g)\n```python\nx[0](../y)\n```\n"
    there = links.absolute_links(text, "docs", "docs", "https://host/owner/name")
    assert there == text.replace("../x.py", "https://host/owner/name/blob/HEAD/x.py")
    assert links.absolute_links(text, "docs", "docs", "") == text.replace("[a](../x.py)", "a")
    published = links.absolute_links("![b](docs/p.svg)", "", None, "https://host/owner/name")
    assert published == "![b](https://host/owner/name/raw/HEAD/docs/p.svg)"
