"""Node types of ``ray_cluster.yaml`` on smaller machines: a head alone, workers when a run needs them."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from testbudget.traces.live_status import read_live_status
from testbudget.traces.run_place import LocalPlace

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[2]
SECONDS = 420


@pytest.fixture
def address(tmp_path):
    types = yaml.safe_load((ROOT / "ray_cluster.yaml").read_text())["available_node_types"]
    fields = ("resources", "min_workers", "max_workers")
    fake = {name: {key: kind[key] for key in fields if key in kind} for name, kind in types.items()}
    fake["head"]["max_workers"] = 0
    fake["cpu_worker"] |= {"resources": {"CPU": 2}, "max_workers": 1}
    for kind in fake.values():
        kind["node_config"] = {}
    (tmp_path / "types.json").write_text(json.dumps(fake))
    session = Path("/tmp") / f"ta{os.getpid()}"
    with subprocess.Popen(
        [sys.executable, ROOT / "tests/cluster/autoscaling_head.py", tmp_path / "types.json", session],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate("", timeout=60)
        with contextlib.suppress(ProcessLookupError):  # nodes that the fake provider has left behind
            os.killpg(process.pid, signal.SIGKILL)
    shutil.rmtree(session, ignore_errors=True)


def test_a_run_on_a_head_alone_gets_the_workers_that_it_needs(address, work, tmp_path):
    assert address
    place = LocalPlace(tmp_path / "out")
    command = [sys.executable, "-m", "testbudget", "run", "job.yaml", "--out", place.name]
    ended = subprocess.run(
        [*command, "--execution.runners", "2"],
        cwd=work,
        env=os.environ | {"RAY_ADDRESS": address, "RAY_AUTH_MODE": "disabled"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    status = read_live_status(place)
    assert status.state == "finished"
    assert status.spent["tests"] == 12
