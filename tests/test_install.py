"""The installed package: a wheel in an environment of its own, its README, and types from anywhere.

The wheel is built from a copy of the checkout. It is installed where packages share the rooms' names, and
runs in a folder with a ``rewards.py`` of its own. Its environment sees the dependencies of this one alone.
"""

import email
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEFT_OUT, NEEDED = ("examples/", "tests/", "docs/"), {"docs/making/links.py"}
ROOMS = ("rewards", "policies", "traces", "difficulty", "executors", "scheduler", "analysis")
REPOSITORY = "https://host.example/owner/testbudget"
PAIR = '{"id": "1", "candidate": "def f(): return 1", "test": "assert f() == 1", "kind": "assert"}\n'


def python(*arguments: str | Path, cwd: Path, interpreter: Path = Path(sys.executable)) -> str:
    """What a Python process prints; it must end well."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(
        list(map(str, [interpreter, *arguments])),
        cwd=cwd,
        env=environment | {"TESTBUDGET_REPOSITORY": REPOSITORY},
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
        if source.exists() and (not name.startswith(LEFT_OUT) or name in NEEDED):
            target = folder / "copy" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target, follow_symlinks=False)
    python("-m", "build", "--no-isolation", "--outdir", folder, folder / "copy", cwd=folder)
    return folder


@pytest.fixture(scope="module")
def interpreter(built, tmp_path_factory) -> Path:
    """Python of a new environment with the wheel, where packages of the rooms' bare names lie too."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    made = folder / "bin" / "python"
    wheel = next(built.glob("*.whl"))
    python(
        "-m", "pip", "--python", made, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=folder
    )
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    for room in ROOMS:
        (packages / room).mkdir()
        (packages / room / "__init__.py").write_text("raise ImportError('another project')\n")
    return made


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


def test_the_wheel_runs_outside_of_the_checkout_beside_packages_of_the_same_names(interpreter, tmp_path):
    (tmp_path / "rewards.py").write_text("raise ImportError('a file of the user')\n")
    (tmp_path / "pairs.jsonl").write_text(PAIR)
    code = "import testbudget.scheduler.job, testbudget.rewards.votes; print(testbudget.__file__)"
    where = python("-c", code, cwd=tmp_path, interpreter=interpreter)
    assert Path(where.strip()).is_relative_to(interpreter.parents[1])
    command = [
        interpreter.with_name("testbudget"),
        "execute",
        "--in",
        "pairs.jsonl",
        "--out",
        "verdicts.jsonl",
    ]
    python(*command, "--runners", "1", cwd=tmp_path, interpreter=interpreter)
    assert '"passed"' in (tmp_path / "verdicts.jsonl").read_text()


def test_the_readme_of_a_release_has_no_relative_link(built):
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
        metadata = email.message_from_string(wheel.read(name).decode())
    readme = metadata.get_payload()
    links = re.findall(r"\]\(([^)\s]+)\)", readme)
    assert links
    assert [link for link in links if not link.startswith("https://")] == []
    assert f"]({REPOSITORY}/blob/HEAD/docs/quickstart.md)" in readme
    assert f"]({REPOSITORY}/raw/HEAD/docs/pictures/budget.svg)" in readme
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert f"Source, {REPOSITORY}" in metadata.get_all("Project-URL")


def test_mypy_follows_names_into_the_rooms_from_a_file_elsewhere(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from testbudget.executors.execution.limits import TestLimits\n\n"
        "reveal_type(TestLimits().file_mib)\nTestLimits(file_mib='three')\n"
    )
    # The module is named too, and nothing else is followed: checking the whole project takes a minute.
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--config-file=",
        "--follow-imports=skip",
        "--cache-dir",
        tmp_path,
    ]
    modules = ["-m", "mine", "-m", "testbudget.executors.execution.limits"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(
        list(map(str, command + modules)),
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 'Revealed type is "int"' in ended.stdout.replace("builtins.int", "int"), ended.stdout
    assert 'incompatible type "str"; expected "int"' in ended.stdout
