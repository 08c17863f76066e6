"""The commands of docs/distilling.md, followed at a toy size.

Models of the page's jobs are replaced by a recording, and the model that is trained by one of two layers.
The training is executed where its libraries are installed; `tests/live` also runs a job with the adapter.
"""

import importlib.util
import json
import re
import shlex
from pathlib import Path

import yaml

from testbudget.analysis.finetune.settings import FinetuneSettings
from testbudget.cli.main import main
from testbudget.scheduler.job import Job
from tests.runs.toy_writer import write_toy_writer

PAGE = (Path(__file__).parents[1] / "docs" / "distilling.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r'^```yaml title="(.+?)"\n(.*?)^```$', PAGE, re.MULTILINE | re.DOTALL))
COMMANDS = [
    shlex.split(line.removeprefix("testbudget "))
    for block in re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
TRAINS = all(importlib.util.find_spec(name) for name in ("trl", "peft", "datasets"))


def test_the_files_of_the_page_are_jobs_and_settings():
    jobs = {name: yaml.safe_load(text) for name, text in FILES.items()}
    assert list(jobs) == ["job.yaml", "finetune.yaml", "several.yaml", "tuned.yaml"]
    for name in ("job.yaml", "tuned.yaml"):
        Job.model_validate(jobs[name])
    for name in ("finetune.yaml", "several.yaml"):
        FinetuneSettings.model_validate(jobs[name])
    assert jobs["tuned.yaml"]["tests"]["model"]["lora"] == "runs/writer/adapter"


def test_from_a_run_through_data_and_training_to_the_next_run(recorded, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, tests in (("job", 40), ("base", 10), ("tuned", 40)):
        recorded.write_job(tmp_path / f"{name}.yaml", cap={"tests": tests})
    source = {"source": str(recorded.problems_file), "ids": ["times/6"]}
    assert main(["run", str(recorded.write_job(tmp_path / "judge.yaml", problems=source))]) == 0
    settings = yaml.safe_load(FILES["finetune.yaml"])
    if TRAINS:
        settings |= {
            "base_model": str(write_toy_writer(tmp_path / "toy")),
            "quality": {"problems": 1, "max_tokens": 4},
        }
    (tmp_path / "finetune.yaml").write_text(yaml.safe_dump(settings))
    assert [words[0] for words in COMMANDS] == "run distill finetune finetune run run report".split()
    printed = ""
    for words in COMMANDS:
        capsys.readouterr()
        if words[0] == "finetune" and not TRAINS:
            assert main(words) == 2
            told = capsys.readouterr().err
            assert "pip install 'testbudget[finetune]'" in told or "has no finetune.yaml" in told
            continue
        # The prompts differ in a number alone. Without a training, its data say what was trained on.
        changed = {"distill": [*words, "--near-duplicate", "1"]}
        if not TRAINS:
            changed["report"] = [*words[:-1], "data/job"]
        assert main(changed.get(words[0], words)) == 0, capsys.readouterr().err
        printed += capsys.readouterr().out
    assert "on both sides: 0 content hashes" in printed
    card = json.loads((tmp_path / "data" / "job" / "card.json").read_text())
    assert [len(card["problems"][side]) for side in ("train", "eval", "held_out")] == [3, 1, 1]
    assert "2 labelled problems; 3 more were trained on and are left out" in printed
    for row in ("accuracy of the pick", "fidelity", "bottom-1", "tokens per test", "difference"):
        assert row in printed


def test_the_page_names_what_the_commands_write(tmp_path):
    for name in ("tests", "pairs", "candidates"):
        assert f"`{name}.train.jsonl`" in PAGE
    for field in FinetuneSettings.model_fields:
        assert field in PAGE or field in {"learning_rate", "minutes", "seed", "max_rows", "eval_rows"}
