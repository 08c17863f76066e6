"""The installed package: a wheel beside packages that share the rooms' names, and types from anywhere.

The wheel is built from a copy of the checkout, and runs from a folder that has a ``rewards.py`` of its own.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("rewards", "policies", "traces", "difficulty", "executors", "scheduler", "analysis")
PAIR = '{"id": "1", "candidate": "def f(): return 1", "test": "assert f() == 1", "kind": "assert"}\n'


def python(*arguments: str | Path, cwd: Path, path: list[Path] | None = None) -> str:
    """What a Python process prints; it must end well."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path or []))}
    ended = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A folder with a wheel and a source distribution, built from a copy of the checkout."""
    folder = tmp_path_factory.mktemp("built")
    files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, files.stdout.decode().split("\0")):
        source = ROOT / name
        if source.exists() and not name.startswith(("examples/", "tests/", "docs/")):
            target = folder / "copy" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target, follow_symlinks=False)
    python("-m", "build", "--no-isolation", "--outdir", folder, folder / "copy", cwd=folder)
    return folder


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory) -> Path:
    """The wheel's files, unpacked where packages of the rooms' bare names lie too."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        wheel.extractall(folder)
    for room in ROOMS:
        (folder / room).mkdir()
        (folder / room / "__init__.py").write_text("raise ImportError('another project')\n")
    return folder


def test_wheel_and_source_distribution_hold_plain_files_of_every_room(built):
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        packed = set(wheel.namelist())
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        assert not [member.name for member in archive if member.issym() or member.islnk()]
        sources = {member.name.split("/", 1)[1] for member in archive if "/" in member.name}
    for room in ROOMS:
        modules = {f"testbudget/{p.relative_to(ROOT)}" for p in (ROOT / room).rglob("*.py")}
        assert modules <= packed
        assert modules <= sources
    assert {"testbudget/py.typed", "testbudget/analysis/view/bundle/main.js"} <= packed
    assert {name.split("/")[0] for name in packed} == {
        "testbudget",
        next(built.glob("*.whl")).name.rsplit("-", 3)[0] + ".dist-info",
    }


def test_a_wheel_works_beside_packages_and_files_of_the_same_names(installed, tmp_path):
    (tmp_path / "rewards.py").write_text("raise ImportError('a file of the user')\n")
    (tmp_path / "pairs.jsonl").write_text(PAIR)
    code = "import testbudget.scheduler.job, testbudget.rewards.votes; print(testbudget.__file__)"
    where = python("-c", code, cwd=tmp_path, path=[installed])
    assert Path(where.strip()).parent == installed / "testbudget"
    command = ["-m", "testbudget", "execute", "--in", "pairs.jsonl", "--out", "verdicts.jsonl"]
    python(*command, "--runners", "1", cwd=tmp_path, path=[installed])
    assert '"passed"' in (tmp_path / "verdicts.jsonl").read_text()


def test_mypy_follows_names_into_the_rooms_from_a_file_elsewhere(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from testbudget.executors.execution.limits import TestLimits\n\n"
        "reveal_type(TestLimits().file_mib)\nTestLimits(file_mib='three')\n"
    )
    command = [sys.executable, "-m", "mypy", "--follow-imports=silent", "--cache-dir", tmp_path, "mine.py"]
    ended = subprocess.run(
        list(map(str, command)), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert 'Revealed type is "int"' in ended.stdout.replace("builtins.int", "int"), ended.stdout
    assert 'incompatible type "str"; expected "int"' in ended.stdout
