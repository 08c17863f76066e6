"""A test writer distilled from one recorded run, judged on the problems of another.

    python benchmarks/distilled_writer.py --model models/0.5b --problems mbpp:mbpp_sanitized.jsonl

Trains a LoRA adapter on tests that were kept of the run on HumanEval. The model with and without it then
writes tests for the recorded candidates of MBPP problems, of which none, and no near-duplicate, was trained
on. Judged are problems with a right and a wrong candidate, the first in the order of a hash. Needs the
extra ``finetune`` and vLLM, and an hour or two on an idle core; every step goes on where it stopped.
``--quick`` does without a model: it prints what would be trained on.
"""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from testbudget import api, writers
from testbudget.analysis.distill.distilled import SIDES, distil, problem_texts
from testbudget.analysis.distill.files import filters_table, read_card, split_sentences
from testbudget.analysis.distill.judged import judged_problems
from testbudget.analysis.distill.settings import DistillSettings
from testbudget.analysis.distill.source_run import SourceRun
from testbudget.analysis.finetune.settings import FinetuneSettings, LoraSection, QualitySection
from testbudget.analysis.finetune.training import RESULT_FILE, FinetunedWriter
from testbudget.analysis.quality.report import print_quality, quality_record
from testbudget.analysis.quality.settings import QualitySettings
from testbudget.analysis.tables import WIDTH
from testbudget.cli.console import status_console
from testbudget.rewards.seeds import hash_order
from testbudget.traces.tables import read_trace

ROOT = Path(__file__).parents[1]
TRAINED, JUDGE = ROOT / "examples" / "humaneval", ROOT / "examples" / "mbpp"


def distilled(work: Path, problems: str) -> Path:
    """Training data of the run on HumanEval, without what judges."""
    data = work / "data"
    if not data.exists():
        saved = writers.distill(
            [TRAINED], DistillSettings(), out=data, held_out=[JUDGE], sources={JUDGE: problems}
        )
        console = status_console(False, width=WIDTH)
        filters_table(saved.data.steps).print(console)
    for sentence in split_sentences(read_card(data)):
        print(sentence)
    return data


def judged_without_labels(problems: str) -> dict[str, Any]:
    """Tests that are kept when the groups of the picks judge them, by what the labels say of them."""
    found = {}
    for run in (SourceRun("humaneval", TRAINED), SourceRun("mbpp", JUDGE)):
        settings = DistillSettings(judged_by="groups", tests_per_problem=None, reformat=False)
        data = distil([run], settings, sources={JUDGE: problems})
        kept = [row for side in SIDES for row in data.rows["tests", side]]
        truth = {
            one.problem.id: {test.index: test.right_passed == 1 for test in one.tests if test.executed}
            for one in judged_problems(run, problem_texts(run.trace, {JUDGE: problems}), DistillSettings())
        }
        of_all = [passed for tests in truth.values() for passed in tests.values()]
        found[run.name] = {
            "tests": len(kept),
            "problems": len({row["problem"] for row in kept}),
            "passed_by_all_right": sum(truth[row["problem"]][row["test"]] for row in kept) / len(kept),
            "of_all_tests": sum(of_all) / len(of_all),
            "probability": sum(row["probability"] for row in kept) / len(kept),
        }
        print(f"judged without labels, {run.name}: {json.dumps(found[run.name])}", flush=True)
    return found


def trained(work: Path, data: Path, options: argparse.Namespace) -> FinetunedWriter:
    """Adapter trained on the data."""
    out = work / "writer"
    settings = FinetuneSettings(
        base_model=str(options.model),
        data=data,
        max_rows=options.rows,
        max_length=options.max_length,
        epochs=options.epochs,
        batch_size=4,
        learning_rate=3e-4,
        eval_steps=10_000,
        eval_rows=12,
        save_steps=10,
        minutes=options.minutes,
        lora=LoraSection(rank=16, alpha=32, dropout=0.0, last_layers=options.layers),
        quality=QualitySection(problems=0),
    )
    if (out / RESULT_FILE).exists():
        return FinetunedWriter(out, json.loads((out / RESULT_FILE).read_text(encoding="utf-8")))
    return writers.resume_finetuning(out) if out.exists() else writers.finetune(settings, out=out)


def judged_ids(most: int) -> list[str]:
    """Problems of the run on MBPP with a right and a wrong candidate, in the order of a hash."""
    mixed = [
        name
        for name, seen in read_trace(JUDGE).problems.items()
        if seen.correct is not None and seen.correct.any() and not seen.correct.all()
    ]
    return hash_order(mixed, "judge")[:most]


def written(work: Path, name: str, adapter: Path | None, options: argparse.Namespace) -> Path:
    """Run whose tests the model writes for the recorded candidates."""
    out, ids = work / name, judged_ids(options.judges)
    model: dict[str, Any] = {
        "name": str(options.model),
        "template": "coderm",
        "gpus": 0,
        "cpus": 1,
        "max_tokens": options.max_tokens,
        "in_flight": 32,
        "timeout_seconds": 7200,
        "stall_seconds": 1200,
        "engine": {
            "dtype": "float32",  # many processors compute bfloat16 several times slower
            "max_model_len": 1536,
            "max_num_seqs": 32,
            "kv_cache_memory_bytes": 1_000_000_000,
        },
    }
    if adapter is not None:
        model["lora"] = str(adapter.resolve())
    job = {
        # The reference programs of this file are indented otherwise than their prompts.
        "problems": {"source": options.problems, "ids": ids, "check_ground_truth": False},
        "candidates": {"from_run": str(JUDGE)},
        "tests": {"model": model},
        "policy": {"name": "uniform", "stop_when_harmful": False},
        "selection": "majority",
        "cap": {"tests": options.tests * len(ids)},
        "elimination": {"apply_to": "none"},
        "execution": {"cpu_seconds": 0.5, "runners": 1},
        "backend": "in_process",
    }
    path = work / f"{name}.yaml"
    path.write_text(yaml.safe_dump(job, sort_keys=False), encoding="utf-8")
    api.run(path, out=out, or_resume=True)
    return out


def main(arguments: Sequence[str] | None = None) -> None:
    """Distil, train, let both write, and compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, help="folder of the base model")
    parser.add_argument("--problems", required=True, help="source of the problems of the run on MBPP")
    parser.add_argument(
        "--work", type=Path, default=Path("runs/distilled_writer"), help="folder to work in"
    )
    parser.add_argument("--rows", type=int, default=300, help="most rows to train on")
    parser.add_argument("--max-length", type=int, default=480, help="longest row in tokens")
    parser.add_argument("--epochs", type=float, default=2.0)
    parser.add_argument("--layers", type=int, default=8, help="layers from the last that are adapted")
    parser.add_argument("--minutes", type=float, default=25.0, help="most minutes of training")
    parser.add_argument("--judges", type=int, default=40, help="problems to judge on")
    parser.add_argument("--tests", type=int, default=2, help="tests per problem to judge")
    parser.add_argument("--max-tokens", type=int, default=384, help="longest answer to judge")
    parser.add_argument("--quick", action="store_true", help="stop before a model is needed")
    options = parser.parse_args(arguments)
    if options.quick:
        shutil.rmtree(options.work, ignore_errors=True)
    options.work.mkdir(parents=True, exist_ok=True)
    data = distilled(options.work, options.problems)
    if options.quick:
        without = judged_without_labels(options.problems)
        print(
            json.dumps({**{name: read_card(data)[name] for name in ("rows", "split")}, "groups": without})
        )
        return
    if options.model is None:
        sys.exit("without --quick a --model is needed")
    seconds: dict[str, float] = {}
    runs = {}
    training = trained(options.work, data, options)
    print("\n".join(training.sentences()), flush=True)
    for name, adapter in (("base", None), ("tuned", training.adapter)):
        began = time.monotonic()
        runs[name] = written(options.work, name, adapter, options)
        seconds[name] = time.monotonic() - began
    result = writers.quality(
        list(runs.values()), QualitySettings(permutations=20), trained_on=[training.directory]
    )
    print_quality(result, status_console(False, width=WIDTH))
    record = {key: value for key, value in training.record.items() if key not in ("log", "trained_on")}
    print(json.dumps({"training": record, "writing_seconds": seconds, "quality": quality_record(result)}))


if __name__ == "__main__":
    main()
