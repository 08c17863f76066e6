import contextlib
import json
import mmap
import os
import re
import resource
import signal
import time
from pathlib import Path

import pytest

from testbudget.executors.execution.sandbox import cgroups

MEBIBYTE = 1 << 20

UNIFIED = """\
21 1 0:20 / /sys rw,nosuid - sysfs sysfs rw
35 21 0:30 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate
"""
SEPARATE = """\
32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
"""
SEPARATE_OF_A_CONTAINER = """\
35 31 0:32 /docker/1f /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory
39 31 0:36 /docker/1f /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids
"""


@pytest.mark.parametrize(
    ("mounts", "membership", "expected"),
    [
        pytest.param(
            UNIFIED,
            "0::/user.slice/app.scope\n",
            [("/sys/fs/cgroup/user.slice/app.scope",), ("/sys/fs/cgroup/user.slice",)],
            id="version 2: child or sibling of the current group",
        ),
        pytest.param(UNIFIED, "0::/\n", [("/sys/fs/cgroup",)], id="version 2: the root has no sibling"),
        pytest.param(
            UNIFIED.replace(" / /sys/fs", " /docker/1f /sys/fs"),
            "0::/docker/1f\n",
            [("/sys/fs/cgroup",)],
            id="version 2: a container sees its own group as the root",
        ),
        pytest.param(
            SEPARATE,
            "5:cpu:/a\n4:memory:/b\n3:pids:/\n",
            [("/sys/fs/cgroup/memory/b", "/sys/fs/cgroup/pids")],
            id="version 1: one directory per controller",
        ),
        pytest.param(
            SEPARATE.replace("rw,cpu\n", "rw,cpu,cpuacct\n").replace("/cpu ", "/cpu,cpuacct "),
            "5:cpu,cpuacct:/a\n4:memory:/b\n3:pids:/\n",
            [
                ("/sys/fs/cgroup/memory/b", "/sys/fs/cgroup/pids", "/sys/fs/cgroup/cpu,cpuacct/a"),
                ("/sys/fs/cgroup/memory/b", "/sys/fs/cgroup/pids"),
            ],
            id="version 1: CPU time is counted if it can be",
        ),
        pytest.param(
            SEPARATE_OF_A_CONTAINER,
            "4:memory:/docker/1f\n3:pids:/docker/1f/inner\n",
            [("/sys/fs/cgroup/memory", "/sys/fs/cgroup/pids/inner")],
            id="version 1: paths in a container are those of the host",
        ),
        pytest.param(
            SEPARATE_OF_A_CONTAINER,
            "4:memory:/other\n3:pids:/docker/1f\n",
            [],
            id="not visible in this container",
        ),
        pytest.param(
            SEPARATE.replace(",pids", ",freezer"), "4:memory:/\n", [], id="no controller for processes"
        ),
        pytest.param(
            UNIFIED + SEPARATE,
            "4:memory:/\n3:pids:/\n0::/\n",
            [("/sys/fs/cgroup",), ("/sys/fs/cgroup/memory", "/sys/fs/cgroup/pids")],
            id="both versions: the second first",
        ),
    ],
)
def test_parent_directories_follow_from_the_current_group(mounts, membership, expected):
    assert list(cgroups.parent_directories(mounts, membership)) == expected


def in_child(function):
    """Return the value of a function that is called in a process of its own."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            os.write(writing, json.dumps(function()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.waitpid(process, 0)
    return json.loads(answer)


def directories_of(name):
    return [str(found) for found in Path("/sys/fs/cgroup").rglob(name)]


def memory_kills(name):
    """Number of processes of a group that the kernel has killed for memory."""
    counters = [
        *Path("/sys/fs/cgroup").rglob(f"{name}/memory.events"),
        *Path("/sys/fs/cgroup").rglob(f"{name}/memory.oom_control"),
    ]
    return int(re.search(r"^oom_kill (\d+)$", counters[0].read_text(), re.MULTILINE)[1])


@pytest.fixture
def group():
    try:
        group = cgroups.create_group(64 * MEBIBYTE, 4)
    except OSError as error:
        pytest.skip(f"control groups are not available: {error}")
    yield group
    group.remove()
    assert directories_of(group.name) == []
    for descriptor in (*group.parents, *group.process_lists):
        os.close(descriptor)
    if group.cpu_usage is not None:
        group.cpu_usage.close()


def test_the_memory_of_all_processes_together_is_bounded(group):
    def fill_together():
        group.enter()
        shared = mmap.mmap(-1, 96 * MEBIBYTE)  # shared memory, which no other limit bounds
        process = os.fork()
        if process == 0:
            shared[:] = bytes(1) * len(shared)
            os._exit(0)
        _, status = os.waitpid(process, 0)
        return os.waitstatus_to_exitcode(status)

    before = memory_kills(group.name)
    assert in_child(fill_together) == -signal.SIGKILL
    assert memory_kills(group.name) == before + 1


def test_the_processes_of_all_users_together_are_bounded(group):
    def fork_on():
        group.enter()
        _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
        resource.setrlimit(resource.RLIMIT_NPROC, (hard, hard))
        waiting, release = os.pipe()
        processes = []
        try:
            while len(processes) < 10:
                process = os.fork()
                if process == 0:
                    os.close(release)
                    os.read(waiting, 1)
                    os._exit(0)
                processes.append(process)
        except BlockingIOError:
            pass
        os.close(release)
        for process in processes:
            os.waitpid(process, 0)
        return len(processes)

    assert in_child(fork_on) == 3


def test_the_cpu_time_of_ended_processes_is_counted(group):
    if group.cpu_usage is None:
        pytest.skip("this kernel does not count the CPU time of groups")

    def compute():
        group.enter()
        before = time.process_time()
        process = os.fork()
        if process == 0:
            sum(range(3_000_000))
            os._exit(0)
        _, _, usage = os.wait4(process, 0)
        return usage.ru_utime + usage.ru_stime + time.process_time() - before

    from_outside = cgroups.cpu_usage_of(os.getpid())
    computed = in_child(compute)
    assert computed > 0.02
    assert group.cpu_usage.seconds() >= computed
    assert from_outside.seconds() == group.cpu_usage.seconds()
    from_outside.close()


def test_a_process_that_enters_keeps_no_descriptor_of_the_group(group):
    def still_open():
        group.enter()
        counter = [group.cpu_usage.descriptor] if group.cpu_usage else []
        for descriptor in (*group.parents, *group.process_lists, *counter):
            with contextlib.suppress(OSError):
                return os.fstat(descriptor).st_ino
        return None

    assert in_child(still_open) is None


def test_a_group_that_cannot_be_created_leaves_nothing_behind(group):
    before = directories_of("testbudget-*")
    with pytest.raises(FileExistsError):
        cgroups.create_group(64 * MEBIBYTE, 4)  # this process owns one already
    assert directories_of("testbudget-*") == before


def test_only_groups_whose_owners_have_ended_are_removed(group):
    left_behind = in_child(lambda: cgroups.create_group(64 * MEBIBYTE, 4).name)
    assert directories_of(left_behind) != []
    cgroups.remove_abandoned_groups()
    assert directories_of(left_behind) == []
    assert directories_of(group.name) != []
