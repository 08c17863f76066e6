"""Manifests, dashboard and scripts of deploy/, held to what Ray and KubeRay document."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Literal

import pytest
import ray
import yaml
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr
from ray.autoscaler._private.util import validate_config

from testbudget.scheduler.backends.ray_metrics import METRICS
from testbudget.scheduler.sections.model import ModelSection

DEPLOY = Path(__file__).parents[1] / "deploy"


class Strict(BaseModel):
    """Documented fields, and no others."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)


class Metadata(Strict):
    name: str = Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=50)
    namespace: str


class Container(Strict):
    name: str
    image: str
    env_from: list[dict[Literal["secretRef", "configMapRef"], dict[str, Any]]] = []
    ports: list[dict[Literal["containerPort", "name"], int | str]] = []
    resources: dict[Literal["requests", "limits"], dict[str, str]]
    security_context: dict[Literal["seccompProfile", "appArmorProfile", "procMount"], Any] = {}
    volume_mounts: list[dict[Literal["name", "mountPath"], str]] = []


class PodSpec(Strict):
    containers: list[Container] = Field(min_length=1)
    volumes: list[dict[str, Any]] = []
    tolerations: list[dict[Literal["key", "operator", "effect"], str]] = []
    host_users: bool = True
    termination_grace_period_seconds: int = 30


class PodTemplate(Strict):
    spec: PodSpec


class HeadGroup(Strict):
    ray_start_params: dict[str, str]
    template: PodTemplate


class WorkerGroup(HeadGroup):
    group_name: str
    replicas: int = Field(ge=0)
    min_replicas: int = Field(ge=0)
    max_replicas: int = Field(ge=1)


class AutoscalerOptions(Strict):
    version: Literal["v1", "v2"]
    idle_timeout_seconds: int
    upscaling_mode: Literal["Default", "Aggressive", "Conservative"]


class ClusterSpec(Strict):
    ray_version: str
    enable_in_tree_autoscaling: bool
    autoscaler_options: AutoscalerOptions
    head_group_spec: HeadGroup
    worker_group_specs: list[WorkerGroup]


class Cluster(Strict):
    api_version: Literal["ray.io/v1"]
    kind: Literal["RayCluster"]
    metadata: Metadata
    spec: ClusterSpec


class RayJobSpec(Strict):
    entrypoint: str
    submission_mode: Literal["K8sJobMode", "HTTPMode", "InteractiveMode"]
    backoff_limit: int = Field(ge=0)
    shutdown_after_job_finishes: bool
    ttl_seconds_after_finished: int
    ray_cluster_spec: ClusterSpec


class RayJob(Strict):
    api_version: Literal["ray.io/v1"]
    kind: Literal["RayJob"]
    metadata: Metadata
    spec: RayJobSpec


@pytest.fixture(scope="module")
def content():
    return yaml.safe_load((DEPLOY / "raycluster.yaml").read_text())


@pytest.fixture(scope="module")
def cluster(content):
    return Cluster.model_validate(content)


def test_the_manifest_of_a_cluster_is_one_that_rays_autoscaler_takes(content):
    config = _derive_autoscaling_config_from_ray_cr(content)
    validate_config(config)
    types = config["available_node_types"]
    assert {name: (kind["min_workers"], kind["max_workers"] > 0) for name, kind in types.items()} == {
        "headgroup": (0, False),
        "gpu-worker": (0, True),
        "cpu-worker": (0, True),
    }
    assert types["headgroup"]["resources"]["CPU"] == 0
    engine = ModelSection(name="model", template="coderm")
    gpu = types["gpu-worker"]["resources"]
    assert (gpu["CPU"], gpu["GPU"]) == (engine.cpus, engine.gpus)
    assert types["cpu-worker"]["resources"]["CPU"] >= 1
    assert "GPU" not in types["cpu-worker"]["resources"]


def test_a_job_brings_the_same_cluster(cluster):
    job = RayJob.model_validate(yaml.safe_load((DEPLOY / "rayjob.yaml").read_text()))
    assert job.spec.ray_cluster_spec == cluster.spec
    assert job.spec.entrypoint.startswith("testbudget run ")


def test_every_volume_that_is_mounted_is_there(cluster):
    for group in (cluster.spec.head_group_spec, *cluster.spec.worker_group_specs):
        spec = group.template.spec
        mounted = {mount["name"] for container in spec.containers for mount in container.volume_mounts}
        assert mounted == {volume["name"] for volume in spec.volumes}


def test_only_the_workers_with_sandboxes_may_make_namespaces(cluster):
    gpu, cpu = cluster.spec.worker_group_specs
    (sandboxes,) = cpu.template.spec.containers
    assert sandboxes.security_context["procMount"] == "Unmasked"
    assert not cpu.template.spec.host_users
    assert gpu.template.spec.containers[0].security_context == {}


def test_images_hold_the_ray_that_is_tested_with(cluster):
    assert cluster.spec.ray_version == ray.__version__
    images = re.findall(r"rayproject/ray:([\d.]+)-py311", (DEPLOY / "Dockerfile").read_text())
    assert set(images) == {ray.__version__}


def test_the_dashboard_asks_for_metrics_that_there_are():
    dashboard = json.loads((DEPLOY / "grafana.json").read_text())
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"ray_testbudget_(\w+)", target["expr"])
    }
    assert asked - METRICS.keys() == set()
    assert METRICS.keys() - asked <= {"busy"}
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)


def test_the_slurm_script_can_be_parsed():
    subprocess.run(["bash", "-n", DEPLOY / "slurm.sh"], check=True)
