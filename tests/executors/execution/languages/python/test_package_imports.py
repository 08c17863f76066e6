import sys

import pytest

from testbudget.executors.execution.languages.python import package_imports as imports
from testbudget.executors.execution.languages.python.package_imports import (
    load_package_modules,
    package_imports,
)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("import pandas as pd", ["pandas"]),
        ("import os, pandas.api.types as t, numpy", ["pandas", "pandas.api", "pandas.api.types"]),
        (
            "if True:\n    from pandas import DataFrame, io as x",
            ["pandas", "pandas.DataFrame", "pandas.io"],
        ),
        ("from pandas.api import (\n  types,\n)", ["pandas", "pandas.api", "pandas.api.types"]),
        ("import pandasql", []),
        ("x = 'pandas'", []),
    ],
)
def test_import_statements_name_modules_of_packages(text, names):
    assert package_imports([text, "import json"], ["pandas"]) == names


def test_brackets_without_an_end_take_time_in_proportion():
    text = "from pandas import(\n" * 40_000
    assert package_imports([text], ["pandas"])[0] == "pandas"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Function that adds a module with a text to an importable package."""
    folder = tmp_path / "own_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(imports, "_tried", set())
    yield lambda name, text: (folder / f"{name}.py").write_text(text)
    for name in [name for name in sys.modules if name.partition(".")[0] == "own_package"]:
        del sys.modules[name]


def test_modules_that_do_not_load_are_left_alone(package):
    package("good", "")
    package("raising", "1 / 0")
    package("ending", "import os\nos._exit(3)")
    package("crashing", "import os\nos.kill(os.getpid(), 9)")
    names = [
        "own_package",
        *(f"own_package.{name}" for name in ("good", "raising", "ending", "crashing", "no")),
    ]
    load_package_modules(names)
    loaded = {name for name in sys.modules if name.startswith("own_package")}
    assert loaded == {"own_package", "own_package.good"}


def test_a_text_makes_no_more_than_a_number_of_trials(package, monkeypatch):
    monkeypatch.setattr(imports, "_MAX_SUBMODULES", 1)
    package("one", "")
    package("two", "")
    load_package_modules(["own_package", "own_package.one", "own_package.two"])
    assert "own_package.one" in sys.modules
    assert "own_package.two" not in sys.modules
