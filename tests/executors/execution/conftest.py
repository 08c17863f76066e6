import os
import struct
import threading

import pytest

from executors.execution import kernel
from executors.execution.runner import Limits, Runner

LIMITS = Limits(cpu_seconds=0.4, memory_mib=256)
UNSHARE = {"x86_64": 272, "aarch64": 97}


def runner_without_namespaces():
    """A runner as in a container that refuses namespaces.

    A filter on the thread that starts it sees to that; all that the thread starts is under it as well.
    """
    program = [
        (0x20, 0, 0, 0),  # load the system call's number
        (0x15, 0, 1, UNSHARE[os.uname().machine]),
        (0x06, 0, 0, 0x00050001),  # operation not permitted
        (0x06, 0, 0, 0x7FFF0000),  # allowed
    ]
    started = []

    def start():
        kernel.forbid_new_privileges()
        kernel.Filter(b"".join(struct.pack("<HBBI", *instruction) for instruction in program)).install()
        started.append(Runner(LIMITS))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    return started[0]


@pytest.fixture(scope="session", params=["every layer", "no namespaces"])
def runner(request):
    with Runner(LIMITS) if request.param == "every layer" else runner_without_namespaces() as runner:
        yield runner
