"""A real cluster of one node with its job server, in a process of its own with a home of its own."""

import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

SERVE = """
import json, sys, ray
dashboard, metrics, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
context = ray.init(
    num_cpus=2, include_dashboard=True, dashboard_host="127.0.0.1", dashboard_port=dashboard,
    object_store_memory=80_000_000, _temp_dir=folder, _metrics_export_port=metrics, logging_level="ERROR",
    log_to_driver=False, _system_config={"metrics_report_interval_ms": 1000},
)
print(json.dumps(context.address_info["gcs_address"]), flush=True)
sys.stdin.read()
ray.shutdown()
"""


@dataclass(frozen=True)
class JobServer:
    """A cluster that takes jobs.

    Attributes:
        gcs: address for ``RAY_ADDRESS``.
        url: address of the job server.
        metrics: address of the metrics of the node.
        home: home directory of its processes.
    """

    gcs: str
    url: str
    metrics: str
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        paths = [str(Path(sys.executable).parent), os.environ["PATH"]]
        return os.environ | {"HOME": str(self.home), "PATH": ":".join(paths), "RAY_AUTH_MODE": "disabled"}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    session = Path("/tmp") / f"tb{os.getpid()}"  # sockets have short paths
    dashboard, metrics = _free_port(), _free_port()
    found = JobServer("", f"http://127.0.0.1:{dashboard}", f"http://127.0.0.1:{metrics}/metrics", home)
    with subprocess.Popen(
        [sys.executable, "-c", SERVE, str(dashboard), str(metrics), str(session)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=found.environment,
        text=True,
    ) as process:
        assert process.stdout is not None
        gcs = json.loads(process.stdout.readline())
        yield JobServer(gcs, found.url, found.metrics, home)
        process.communicate("", timeout=120)
    shutil.rmtree(session, ignore_errors=True)


@pytest.fixture
def work(recorded, tmp_path):
    """A folder with a job file and all that it names by relative paths."""
    folder = tmp_path / "work"
    shutil.copytree(recorded.directory, folder / "run")
    shutil.copy(recorded.problems_file, folder / "problems.jsonl")
    job = recorded.job(
        problems={"source": "problems.jsonl"},
        candidates={"from_run": "run"},
        tests={"from_run": "run"},
        execution={"runners": 1},
    )
    del job["backend"]
    (folder / "job.yaml").write_text(yaml.safe_dump(job), encoding="utf-8")
    return folder
