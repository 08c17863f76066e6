"""The reward function inside TRL's GRPO trainer: the example of examples/rl, where TRL is installed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_grpo_trains_a_toy_model_with_rewards_from_the_sandbox():
    pytest.importorskip("trl", reason="TRL is not installed: pip install 'testbudget[trl]'")
    command = [sys.executable, "examples/rl/grpo.py", "--steps", "4"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert ended.returncode == 0, ended.stderr[-2000:]
    figures = json.loads(ended.stdout.splitlines()[-1])
    wrong = dict.fromkeys(["is wrong", "loops", "forges"], 0.0)
    assert figures["rewards"] == {
        "add": {"adds": 1.0, "doubles": 0.0, **wrong},
        "double": {"adds": 0.0, "doubles": 1.0, **wrong},
    }
    assert 0 <= figures["first_reward"] <= 1
    assert 0 <= figures["last_reward"] <= 1


def test_the_example_says_what_it_needs(tmp_path):
    (tmp_path / "trl.py").write_text("raise ModuleNotFoundError(name='trl')")
    (tmp_path / "datasets.py").write_text("Dataset = None")
    ended = subprocess.run(
        [sys.executable, "examples/rl/grpo.py"],
        cwd=ROOT,
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.endswith("this example needs trl: pip install 'testbudget[trl]'\n")
