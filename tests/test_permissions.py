"""Files that a run leaves have the permissions that the umask allows, so that colleagues can read them."""

import os
import stat

import pytest

from testbudget.cli.main import main


@pytest.fixture(params=[0o022, 0o027, 0o077], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes(folder):
    """Permissions of everything in a folder, which is included, by path."""
    return {path: stat.S_IMODE(path.lstat().st_mode) for path in [folder, *folder.rglob("*")]}


def test_files_of_runs_reports_and_analyses_have_the_permissions_of_the_umask(
    umask, recorded, tmp_path, capsys
):
    out = tmp_path / "out"
    job = recorded.write_job(tmp_path / "job.yaml")
    compare = ["compare", str(out / "run"), "--policies", "uniform", "--selection", "majority"]
    for command in (
        ["run", str(job), "--out", str(out / "run")],
        ["report", str(out / "run"), "--out", str(out / "page.html")],
        [*compare, "--permutations", "2", "--out", str(out / "compare")],
    ):
        assert main(command) == 0, capsys.readouterr().err
    found = modes(out)
    assert len(found) > 15
    assert {
        path: oct(mode) for path, mode in found.items() if path.is_file() and mode != 0o666 & ~umask
    } == {}
    assert {
        path: oct(mode) for path, mode in found.items() if path.is_dir() and mode != 0o777 & ~umask
    } == {}
