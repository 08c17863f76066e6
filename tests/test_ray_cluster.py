import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray
import ray.autoscaler
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from testbudget.scheduler.sections.model import ModelSection

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def cluster() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "ray_cluster.yaml").read_text())
    return content


@pytest.fixture(scope="module")
def node_types(cluster: dict[str, Any]) -> dict[str, Any]:
    types: dict[str, Any] = cluster["available_node_types"]
    return types


def test_cluster_file_is_one_that_ray_accepts(cluster: dict[str, Any]) -> None:
    schema = Path(ray.autoscaler.__file__).with_name("ray-schema.json")
    jsonschema.validate(cluster, json.loads(schema.read_text()))
    validate_config(prepare_config(cluster))


def test_a_misspelt_key_of_a_cluster_file_is_found(cluster: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        validate_config(prepare_config(cluster | {"idle_timeout": 10}))


def test_nodes_run_the_ray_that_is_tested_with(cluster: dict[str, Any], node_types: dict[str, Any]) -> None:
    images = [cluster["docker"]["image"], node_types["gpu_worker"]["docker"]["worker_image"]]
    assert [image.split(":")[1].split("-")[0] for image in images] == [ray.__version__] * 2


def test_head_offers_nothing_to_actors(cluster: dict[str, Any], node_types: dict[str, Any]) -> None:
    assert node_types[cluster["head_node_type"]]["resources"] == {"CPU": 0, "GPU": 0}


def test_gpu_worker_holds_one_engine_and_no_sandbox_beside_it(node_types: dict[str, Any]) -> None:
    engine = ModelSection(name="model", template="coderm")
    assert node_types["gpu_worker"]["resources"] == {"CPU": engine.cpus, "GPU": engine.gpus}


def test_cpu_worker_holds_sandboxes_and_no_engine(node_types: dict[str, Any]) -> None:
    resources = node_types["cpu_worker"]["resources"]
    assert resources["CPU"] >= 1
    assert resources["GPU"] == 0


def test_every_kind_of_worker_comes_when_it_is_asked_for_and_can_grow_to_its_maximum(
    cluster: dict[str, Any], node_types: dict[str, Any]
) -> None:
    workers = [node_types[name] for name in node_types if name != cluster["head_node_type"]]
    assert all(worker["min_workers"] == 0 < worker["max_workers"] for worker in workers)
    assert cluster["max_workers"] == sum(worker["max_workers"] for worker in workers)
