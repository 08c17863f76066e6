"""Distributions that programs may import: found with what they require, and nothing else is visible."""

import shutil
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.package_choice import NO_PACKAGES, PackageChoice
from testbudget.executors.execution.packages import find_packages
from testbudget.executors.execution.runner import Runner
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import TestKind, UnitTest, Verdict
from tests.executors.execution.conftest import refuse_namespaces

LIMITS = TestLimits(cpu_seconds=0.5, memory_mib=256)


def install(site, name, files, requires=(), version="1.0", record=True):
    """Install a distribution by hand, as a wheel is installed."""
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    lines = [f"Requires-Dist: {text}" for text in requires]
    (info / "METADATA").write_text(
        "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *lines, ""])
    )
    for path, text in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)
    if record:
        rows = [f"{path},,{len(text)}" for path, text in files.items()]
        (info / "RECORD").write_text(
            "\n".join([*rows, f"{info.name}/METADATA,,", "../../../bin/tool,,", ""])
        )
    else:
        (info / "top_level.txt").write_text("\n".join({path.partition("/")[0] for path in files}))


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Folder of an environment with small distributions."""
    folder = tmp_path_factory.mktemp("environments") / "small"
    venv.create(folder, symlinks=True)
    site = next(folder.glob("lib/python*/site-packages"))
    install(
        site,
        "own-shapes",
        {
            "shapes/__init__.py": "from shapes_base import SIDES\nclass Square:\n    sides = SIDES\n",
            "shapes/areas.py": "def square(a): return a * a\n",
            "shapes.pth": "import os",
        },
        ["shapes-base>=1", "not-installed", 'colours; extra == "paint"', 'gone; python_version < "3"'],
    )
    install(site, "shapes-base", {"shapes_base.py": "SIDES = 4\n"})
    install(site, "colours", {"colours/__init__.py": "RED = 1\n"})
    install(site, "common-one", {"common/one/__init__.py": "ONE = 1\n"})
    install(site, "common-two", {"common/two/__init__.py": "TWO = 2\n"})
    install(site, "unlisted", {"unlisted/__init__.py": ""}, record=False)
    install(site, "linked", {"__editable__.linked.pth": "/somewhere"})
    info = site / "linked-1.0.dist-info"
    (info / "direct_url.json").write_text('{"url": "file:///x", "dir_info": {"editable": true}}')
    install(site, "pathed", {"pathed.pth": "/somewhere"})
    return folder


def shown(environment, *names):
    return find_packages(PackageChoice(names, str(environment)))


def test_a_distribution_brings_what_it_requires_and_its_metadata(environment):
    found = shown(environment, "own-shapes")
    assert list(found.files) == [
        "own_shapes-1.0.dist-info",
        "shapes",
        "shapes_base-1.0.dist-info",
        "shapes_base.py",
    ]
    assert found.modules == ("shapes",)
    assert found.size_mib == 1
    assert all(Path(outside).exists() for outside in found.files.values())
    assert "colours" in shown(environment, "Own_Shapes[paint]").files


def test_a_folder_that_others_share_is_shown_in_part(environment):
    site = next(environment.glob("lib/python*/site-packages"))
    assert shown(environment, "common-one").files["common/one"] == str(site / "common" / "one")
    assert {"common"} <= {*shown(environment, "common-one", "common-two").files}


def test_a_distribution_without_a_record_is_known_by_its_modules(environment):
    assert [*shown(environment, "unlisted").files] == ["unlisted"]


def test_no_names_need_no_environment():
    assert find_packages(NO_PACKAGES).files == {}


def test_an_environment_without_packages_is_refused_since_programs_would_not_run_in_it():
    with pytest.raises(UserError, match=r"^python needs packages, the distributions of /nowhere to import"):
        find_packages(PackageChoice((), "/nowhere"))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("own-shape", "packages names own-shape, which is not installed in .*: did you mean own-shapes"),
        ("pathos", r"packages names pathos, which is not installed in [^:]*$"),
        ("shapes", "packages names shapes, .*: shapes is a module of own-shapes, which can be named"),
        ("own-shapes>=2", "packages names own-shapes>=2 but 1.0 is installed"),
        ("own shapes", "packages must name distributions but got 'own shapes'"),
        ("linked", "packages needs linked, which is installed in editable mode"),
        ("pathed", "packages needs pathed, whose files in .* are not listed"),
    ],
)
def test_a_name_that_cannot_be_used_is_told(environment, name, sentence):
    with pytest.raises(UserError, match=sentence):
        shown(environment, name)


def test_an_interpreter_of_no_environment_is_told(tmp_path):
    other = tmp_path / "python"
    other.write_text('#!/bin/sh\necho \'{"version": "2.7", "abi": "none", "path": []}\'\n')
    other.chmod(0o755)
    for python in ("/nowhere", str(tmp_path), "/bin/true"):
        with pytest.raises(UserError, match="python must be the interpreter of an environment but"):
            find_packages(PackageChoice(("x",), python))
    with pytest.raises(UserError, match=r"must be an interpreter of Python 3.* but .* is Python 2.7"):
        find_packages(PackageChoice(("x",), str(other)))


@pytest.fixture(scope="module", params=[None, refuse_namespaces], ids=["every layer", "no namespaces"])
def runner(environment, request):
    """Runner with and without a file system of its own."""
    choice = PackageChoice(("own-shapes", "common-one"), str(environment))
    with (
        ThreadPoolExecutor(1, initializer=request.param) as thread,
        thread.submit(Runner, LIMITS, packages=choice).result() as runner,
    ):
        yield runner


def judged(runner, candidate, *tests):
    """Verdict and reason of each test."""
    units = [UnitTest("", index, test, kind=TestKind.ASSERT) for index, test in enumerate(tests)]
    block = runner.run([candidate], units)
    return [
        (Verdict(verdict), block.reasons[number])
        for verdict, number in zip(block.verdicts[0].tolist(), block.reason_of[0].tolist(), strict=True)
    ]


def test_programs_and_tests_import_what_was_named(runner):
    candidate = (
        "from shapes.areas import square\nfrom common.one import ONE\ndef f(x): return square(x) + ONE"
    )
    tests = "assert f(2) == 5", "import shapes\nassert f(1) == 2", "assert f(2) == 4"
    verdicts = [verdict for verdict, _ in judged(runner, candidate, *tests)]
    assert verdicts == [Verdict.PASSED, Verdict.PASSED, Verdict.FAILED]


@pytest.mark.parametrize("module", ["colours", "common.two", "unlisted", "pyarrow"])
def test_nothing_else_of_the_environment_can_be_imported(runner, module):
    probe = f"def f():\n    try:\n        import {module}\n    except ImportError:\n        return 1"
    assert judged(runner, probe, "assert f() == 1")[0][0] == Verdict.PASSED


def test_packages_cannot_be_written(runner):
    candidate = (
        "import shapes\ndef f():\n    try:\n        open(shapes.__file__, 'a')\n"
        "    except OSError:\n        return True"
    )
    assert judged(runner, candidate, "assert f() is True")[0][0] == Verdict.PASSED


def test_a_missing_module_says_which_and_how_it_could_be_had(runner):
    ((verdict, reason),) = judged(runner, "import colours\ndef f(): return 1", "assert f() == 1")
    assert verdict == Verdict.ERRORED
    assert reason.sentence == (
        "The module colours is not installed in the sandbox. It is there if packages names colours."
    )
    assert reason.detail["module"] == "colours"
    ((_, reason),) = judged(runner, "import no_such_thing\ndef f(): return 1", "assert f() == 1")
    assert reason.sentence == "The module no_such_thing is not installed in the sandbox."


def test_objects_of_a_package_never_fail_wrongly(runner):
    candidate = "from shapes import Square\ndef f(): return Square()"
    tests = (
        "assert f().sides == 4",
        "import shapes\nassert type(f()) is shapes.Square",
        "from shapes import Square\nassert isinstance(f(), Square)",
    )
    (sides, _), (kind, reason), (instance, _) = judged(runner, candidate, *tests)
    assert sides == Verdict.PASSED
    assert (kind, instance) == (Verdict.UNCONFIRMED, Verdict.UNCONFIRMED)
    assert reason.sentence == "Objects of shapes do not cross as plain data."


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_other_languages_ignore_packages(environment):
    with Runner(LIMITS, language="javascript", packages=PackageChoice(("missing",), str(environment))):
        pass


def test_a_package_with_libraries_of_its_own_loads(environment):
    """SciPy is installed wherever testbudget is, and its wheels bring shared libraries."""
    with Runner(TestLimits(cpu_seconds=1.0), packages=PackageChoice(("scipy",))) as runner:
        candidate = "from scipy import special\ndef f(x): return float(special.expit(x))"
        assert judged(runner, candidate, "assert f(0) == 0.5")[0][0] == Verdict.PASSED


def test_the_environment_is_found_by_its_folder_and_by_its_interpreter(environment):
    program = environment / "bin" / "python"
    assert (
        find_packages(PackageChoice(("colours",), str(program))).files
        == shown(environment, "colours").files
    )


def test_nothing_remains_of_a_sandbox_without_a_file_system_of_its_own(environment):
    choice = PackageChoice(("own-shapes",), str(environment))
    with ThreadPoolExecutor(1, initializer=refuse_namespaces) as thread:
        runner = thread.submit(Runner, LIMITS, packages=choice).result()
        sandbox = runner._sandbox
        directories = [Path(sandbox._scratch), Path(sandbox._links)]
        assert all(directory.is_dir() for directory in directories)
        sandbox._guard.kill()
        sandbox._guard.wait()
        runner.close()
    assert not any(directory.exists() for directory in directories)
