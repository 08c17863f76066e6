"""Quality of the tests that a model writes while it is trained, executed on known candidates."""

import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from testbudget.analysis.distill.judges import JudgingProblem
from testbudget.analysis.finetune.settings import QualitySection
from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import Runner
from testbudget.executors.generation.extraction.extract import extract_unit_test
from testbudget.rewards.comparison import Comparison
from testbudget.rewards.problem import UnitTest, Verdict
from testbudget.rewards.quality import TestQuality, single_test_quality
from testbudget.rewards.votes import Votes


@dataclass(frozen=True, slots=True)
class WrittenQuality:
    """Quality of written tests.

    Attributes:
        written: number of answers.
        usable: number of answers with a test.
        tokens: tokens of all answers.
        rates: confusion counts of single tests on known candidates; None without a usable test.
    """

    written: int
    usable: int
    tokens: int
    rates: TestQuality | None

    def figures(self) -> dict[str, float]:
        """Figures for a training log; rates only where they are known."""
        found = {
            "quality_usable": self.usable / self.written if self.written else 0.0,
            "quality_tokens": float(self.tokens),
        }
        if self.rates is not None:
            found |= {
                "quality_accuracy": self.rates.accuracy,
                "quality_f1": self.rates.f1,
                "quality_far": self.rates.false_acceptance_rate,
                "quality_frr": self.rates.false_rejection_rate,
            }
        return {name: value for name, value in found.items() if value == value}  # noqa: PLR0124 - not NaN


def written_quality(
    model: Any, tokenizer: Any, problems: Sequence[JudgingProblem], settings: QualitySection, seed: int
) -> WrittenQuality:
    """Let a model write tests for problems, and execute them.

    Random numbers of the training are left as they were.

    Args:
        model: model of `transformers`, with or without an adapter.
        tokenizer: its tokenizer.
        problems: problems with candidates.
        settings: number and sampling of the tests.
        seed: seed of the sampling.
    """
    usable = tokens = 0
    parts = []
    for number, problem in enumerate(problems):
        texts, written = _answers(model, tokenizer, problem, settings, seed + number)
        tokens += written
        found = [extract_unit_test(text, problem.entry_point, problem.language) for text in texts]
        tests = [
            UnitTest(problem.problem, index, test.code, kind=test.kind)
            for index, test in enumerate(found)
            if test.code is not None
        ]
        usable += len(tests)
        if tests:
            parts.append(_executed(problem, tests))
    rates = functools.reduce(operator.add, parts) if parts else None
    return WrittenQuality(len(problems) * settings.tests, usable, tokens, rates)


def _answers(
    model: Any, tokenizer: Any, problem: JudgingProblem, settings: QualitySection, seed: int
) -> tuple[list[str], int]:
    """Answers to one prompt, and their tokens together."""
    import torch

    messages = [{"role": "user", "content": problem.prompt}]
    inputs = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    ).to(model.device)
    sampled = settings.temperature > 0
    warmth = {"temperature": settings.temperature, "top_p": settings.top_p} if sampled else {}
    devices = [model.device] if model.device.type == "cuda" else []
    training, cached = model.training, model.config.use_cache
    model.eval()
    model.config.use_cache = True
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            output = model.generate(
                **inputs,
                do_sample=sampled,
                max_new_tokens=settings.max_tokens,
                num_return_sequences=settings.tests if sampled else 1,
                pad_token_id=tokenizer.pad_token_id,
                **warmth,
            )
    finally:
        model.config.use_cache = cached
        model.train(training)
    answers = output[:, inputs["input_ids"].shape[1] :]
    padding = tokenizer.pad_token_id
    tokens = int(sum(int((answer != padding).sum()) for answer in answers))
    return tokenizer.batch_decode(answers, skip_special_tokens=True), tokens


def _executed(problem: JudgingProblem, tests: Sequence[UnitTest]) -> TestQuality:
    candidates = [*problem.right, *problem.wrong]
    comparison = Comparison.from_text(problem.comparison)
    with Runner(TestLimits(), language=problem.language) as runner:
        block = runner.run(candidates, list(tests), problem.entry_point, comparison=comparison)
    votes = Votes.from_matrix((block.verdicts == Verdict.PASSED).T)
    return single_test_quality(votes, np.arange(len(candidates)) < len(problem.right))
