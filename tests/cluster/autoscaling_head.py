"""A head with Ray's autoscaler and the node types of a cluster file, whose nodes are faked on this machine.

Usage: autoscaling_head.py TYPES.json FOLDER. Prints the cluster's address; ends when its input ends.
"""

import json
import os
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ |= {
    "RAY_FAKE_CLUSTER": "1",
    "AUTOSCALER_UPDATE_INTERVAL_S": "1",
    "RAY_enable_autoscaler_v2": "1",
    "RAY_AUTH_MODE": "disabled",
}

import ray
from ray._private import services
from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID
from ray.cluster_utils import Cluster

PROVIDER = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"
HEAD_TYPE = "ray.head.default"  # as the provider of faked nodes calls it
HEAD_ONLY = {
    "RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID,
    "RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID,
    "RAY_NODE_TYPE_NAME": HEAD_TYPE,
}


START_SECONDS = 240.0
_ask_for_node = services.get_node


def get_node_patiently(*arguments: Any) -> Any:
    """A node's entry in its cluster. Ray waits 30 s for it, which is too short on a busy machine."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return _ask_for_node(*arguments)
        except RuntimeError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def main(types: str, folder: str) -> None:
    services.get_node = get_node_patiently
    with socket.socket() as listener:
        listener.bind(("", 0))
        port = listener.getsockname()[1]
    node_types = json.loads(Path(types).read_text())
    node_types[HEAD_TYPE] = node_types.pop("head")
    lists = ["initialization_commands", "setup_commands", "head_setup_commands", "worker_setup_commands"]
    lists += ["head_start_ray_commands", "worker_start_ray_commands", "cluster_synced_files"]
    lists += ["rsync_exclude", "rsync_filter"]
    config = {
        "cluster_name": "fake",
        "max_workers": 8,
        "idle_timeout_minutes": 0.2,
        "upscaling_speed": 100,
        "provider": {
            "type": "external",
            "module": PROVIDER,
            "gcs_address": f"{services.get_node_ip_address()}:{port}",
            "launch_multiple": True,
            "disable_node_updaters": True,
            "head_node_id": FAKE_HEAD_NODE_ID,
        },
        "available_node_types": node_types,
        "head_node_type": HEAD_TYPE,
        "auth": {},
        "docker": {},
        "file_mounts": {},
        "file_mounts_sync_continuously": False,
        **{name: [] for name in lists},
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(config, file)
        file.flush()
        os.environ |= HEAD_ONLY
        head = {
            "num_cpus": 0,
            "gcs_server_port": port,
            "autoscaling_config": file.name,
            "include_dashboard": False,
            "object_store_memory": 80_000_000,
            "temp_dir": folder,
        }
        cluster = Cluster(initialize_head=True, head_node_args=head)
        for name in HEAD_ONLY:
            os.environ.pop(name)
        sys.stdout.write(f"{cluster.address}\n")
        sys.stdout.flush()
        sys.stdin.read()
        ray.shutdown()
        cluster.shutdown()


main(*sys.argv[1:])
