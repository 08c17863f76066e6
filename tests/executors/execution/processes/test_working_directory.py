"""Changes of the working directory, or of the one above, which are gone in the next process."""

import pytest

from testbudget.executors.execution.processes.working_directory import WorkingDirectory
from testbudget.rewards.problem import TestKind, UnitTest, Verdict

MARKS = {
    "attribute": "os.setxattr('.', 'user.n', b'7')",
    "attribute above": "os.setxattr('..', 'user.n', b'7')",
    "access list": (
        "import struct; os.setxattr('.', 'system.posix_acl_default', "
        "struct.pack('<I', 2) + b''.join(struct.pack('<HHI', tag, 0, 2**32 - 1) for tag in (1, 4, 32)))"
    ),
    "times": "os.utime('.', ns=(10**18, 10**18))",
    "times above": "os.utime('..', ns=(10**18, 10**18))",
    "mode": "os.chmod('.', 0o500)",
    "mode above": "os.chmod('..', 0o500)",
    "file": "open('left', 'w').close()",
    "file above": "open('../left', 'w').close()",
    "other directory": "os.rename('../work', '../other'); os.symlink('/', '../work')",
}
LOOK = """
import os
def look():
    {mark}
    return None
def seen():
    import tempfile
    assert os.getcwd() == os.path.realpath(tempfile.gettempdir())
    with open('data.txt', 'w') as file:
        file.write('data')
    with open('data.txt') as file:
        file.read()
    os.remove('data.txt')
    found = []
    for place in ('.', '..'):
        status = os.stat(place)
        found += [status.st_mode & 0o777, status.st_mtime_ns == 10**18]
        found += [os.listxattr(place), os.listdir(place)]
    return found
"""
SEEN = "assert seen() == [448, False, [], [], 448, False, [], ['work']], seen()"


@pytest.mark.parametrize("mark", MARKS)
def test_a_mark_is_gone_in_the_next_process(runner, mark):
    marking = LOOK.format(mark=f"try:\n        {MARKS[mark]}\n    except OSError:\n        pass")
    candidates = [marking, f"{marking}# another"]
    tests = [
        UnitTest("", number, code, kind=TestKind.ASSERT)
        for number, code in enumerate(["assert look() is None", SEEN])
    ]
    for _ in range(2):
        answer = runner.run(candidates, tests)
        told = [answer.reasons[reason] for reason in answer.reason_of.ravel()]
        assert (answer.verdicts == Verdict.PASSED).all(), told


@pytest.fixture
def directory(tmp_path):
    return WorkingDirectory(str(tmp_path), ("seccomp",))


def names(place):
    return sorted(entry.name for entry in place.iterdir())


def test_a_stopped_process_gets_its_directory_back(directory, tmp_path):
    current = tmp_path / "work"
    inode = current.stat().st_ino
    directory.set_aside("1")
    assert current.stat().st_ino != inode
    directory.renew()
    assert directory.is_untouched()
    assert directory.bring_back("1")
    assert current.stat().st_ino == inode
    assert names(tmp_path) == ["work"]


@pytest.mark.parametrize("change", ["file", "name", "gone"])
def test_a_directory_that_another_process_has_changed_is_not_brought_back(directory, tmp_path, change):
    directory.set_aside("1")
    if change == "file":
        (tmp_path / "1" / "left").touch()
    else:
        (tmp_path / "1").rename(tmp_path / "2")
    if change == "name":
        (tmp_path / "1").mkdir()
    directory.renew()
    assert not directory.bring_back("1")
    directory.renew()
    assert names(tmp_path) == ["work"]


def test_a_directory_that_holds_something_is_refused_and_kept(tmp_path):
    (tmp_path / "mine" / "below").mkdir(parents=True)
    with pytest.raises(ValueError, match="must be empty"):
        WorkingDirectory(str(tmp_path), ())
    assert names(tmp_path) == ["mine"]
