"""GRPO of TRL on a toy model, with rewards by testbudget: the model learns to write the right program.

pip install 'testbudget[trl]'
python examples/rl/grpo.py [--steps N]

The model is made here, with random weights and a vocabulary of a few programs, so that a run takes a minute
on a CPU. One program loops for ever, and one forges its result. For a real model, put its name in place of
the toy, and a dataset with a column of tests in place of the two rows; the reward function stays the same.
The last line is a JSON object: mean reward of the first and of the last quarter of the steps, and the
reward of each program.
"""

import argparse
import json
import sys
import tempfile
from typing import Any

import testbudget

PROBLEMS = [
    {"prompt": "add", "tests": ["assert f(1) == 2", "assert f(5) == 6"], "entry_point": "f"},
    {"prompt": "double", "tests": ["assert f(1) == 2", "assert f(5) == 10"], "entry_point": "f"},
]
PROGRAMS = {
    "adds": "def f(x): return x + 1\n",
    "doubles": "def f(x): return x * 2\n",
    "is wrong": "def f(x): return x\n",
    "loops": "def f(x):\n    while True: pass\n",
    "forges": "class f:\n    def __init__(self, x): pass\n    def __eq__(self, other): return True\n",
}
SPECIAL = ["<pad>", "<eos>"]


def toy_model() -> tuple[Any, Any]:
    """A transformer of two layers with random weights, and its tokenizer: one token for each program."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    words = [*SPECIAL, *(row["prompt"] for row in PROBLEMS), *PROGRAMS.values()]
    tokenizer = Tokenizer(models.WordLevel({word: token for token, word in enumerate(words)}, "<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.decoder = decoders.Fuse()
    torch.manual_seed(0)
    size = GPT2Config(
        vocab_size=len(words),
        n_positions=16,
        n_embd=32,
        n_layer=2,
        n_head=2,
        bos_token_id=1,
        eos_token_id=1,
    )
    return GPT2LMHeadModel(size), PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", padding_side="left"
    )


def main(steps: int) -> dict[str, Any]:
    """Train for some steps; return the figures."""
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl import GRPOConfig, GRPOTrainer

    limits = testbudget.TestLimits(cpu_seconds=0.5, max_timeouts=1)
    reward = testbudget.reward_function(tests="tests", value="all", limits=limits)
    model, tokenizer = toy_model()
    with tempfile.TemporaryDirectory() as folder:
        arguments = GRPOConfig(
            output_dir=folder,
            max_steps=steps,
            per_device_train_batch_size=16,
            num_generations=8,
            max_completion_length=1,
            learning_rate=5e-3,
            logging_steps=1,
            report_to="none",
            save_strategy="no",
            use_cpu=True,
            disable_tqdm=True,
        )
        trainer = GRPOTrainer(
            model=model,
            reward_funcs=reward,
            args=arguments,
            train_dataset=Dataset.from_list(PROBLEMS * 8),
            processing_class=tokenizer,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    logged = f"rewards/{reward.__name__}/mean"
    means = [row[logged] for row in trainer.state.log_history if logged in row]
    part = max(1, len(means) // 4)
    return {
        "first_reward": round(sum(means[:part]) / part, 3),
        "last_reward": round(sum(means[-part:]) / part, 3),
        "rewards": {
            row["prompt"]: dict(zip(PROGRAMS, reward_of(reward, row), strict=True)) for row in PROBLEMS
        },
    }


def reward_of(reward: Any, row: dict[str, Any]) -> list[float | None]:
    """Rewards of all programs for one problem; those that were written in training come from the cache."""
    columns = {name: [value] * len(PROGRAMS) for name, value in row.items() if name != "prompt"}
    rewards: list[float | None] = reward([row["prompt"]] * len(PROGRAMS), [*PROGRAMS.values()], **columns)
    return rewards


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=40, help="number of training steps (default: 40)")
    try:
        print(json.dumps(main(parser.parse_args().steps)))
    except ModuleNotFoundError as error:
        sys.exit(f"this example needs {error.name}: pip install 'testbudget[trl]'")
