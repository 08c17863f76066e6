"""A job whose tests come from vLLM with an adapter that was trained on a run's own tests."""

import json

import pytest
import yaml

from testbudget.analysis.distill.settings import DistillSettings
from testbudget.analysis.finetune.settings import FinetuneSettings, QualitySection
from testbudget.cli.main import main
from testbudget.traces.tables import read_trace
from testbudget.writers import distill, finetune
from tests.runs.toy_writer import write_toy_writer

pytestmark = pytest.mark.live


def test_the_next_run_loads_the_adapter_by_its_path(recorded, tmp_path, monkeypatch, capsys):
    pytest.importorskip("trl")
    monkeypatch.chdir(tmp_path)
    assert main(["run", str(recorded.write_job(tmp_path / "job.yaml", cap={"tests": 40}))]) == 0
    settings = DistillSettings(near_duplicate=1.0)
    data = distill([tmp_path / "runs" / "job"], settings, out=tmp_path / "data").directory
    toy = write_toy_writer(tmp_path / "toy")
    training = FinetuneSettings(
        base_model=str(toy), data=data, learning_rate=0.05, quality=QualitySection(problems=0)
    )
    adapter = finetune(training, out=tmp_path / "writer").adapter
    model = {
        "name": str(toy),
        "template": "coderm",
        "gpus": 0,
        "temperature": 0,
        "max_tokens": 16,
        "engine": {"max_model_len": 1024, "kv_cache_memory_bytes": 100_000_000},
    }
    written = {}
    for name, lora in (("base", {}), ("tuned", {"lora": str(adapter)})):
        fields = {"tests": {"model": model | lora}, "cap": {"tests": 5}, "backend": "in_process"}
        path = recorded.write_job(tmp_path / f"{name}.yaml", **fields)
        assert main(["run", str(path)]) == 0, capsys.readouterr().err
        trace = read_trace(tmp_path / "runs" / name)
        written[name] = [test.text for seen in trace.problems.values() for test in seen.tests.values()]
        job = yaml.safe_load((tmp_path / "runs" / name / "job.yaml").read_text())
        assert job["tests"]["model"].get("lora") == lora.get("lora")
    assert len(written["base"]) == len(written["tuned"]) == 5
    assert written["base"] != written["tuned"]
    capsys.readouterr()
    assert main(["report", "runs/base", "runs/tuned", "--quality", "--trained-on", "writer"]) == 0
    assert "tokens per test" in capsys.readouterr().out


def test_two_workers_of_ray_train_make_one_adapter(recorded, tmp_path, monkeypatch, capsys):
    pytest.importorskip("trl")
    monkeypatch.chdir(tmp_path)
    assert main(["run", str(recorded.write_job(tmp_path / "job.yaml", cap={"tests": 40}))]) == 0
    settings = DistillSettings(near_duplicate=1.0, tests_per_problem=2)
    data = distill([tmp_path / "runs" / "job"], settings, out=tmp_path / "data").directory
    training = {
        "base_model": str(write_toy_writer(tmp_path / "toy")),
        "data": str(data),
        "batch_size": 4,
        "ray": {"workers": 2, "gpus": 0},
        "quality": {"problems": 0},
    }
    (tmp_path / "several.yaml").write_text(yaml.safe_dump(training))
    capsys.readouterr()
    assert main(["finetune", "several.yaml", "--out", "writer", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["finished"]
    assert record["steps"] == 4  # 8 rows, 4 at each step, twice
    assert (tmp_path / "writer" / "adapter" / "adapter_model.safetensors").is_file()
