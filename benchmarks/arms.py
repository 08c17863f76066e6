"""Worth of other work than tests: inputs without expected values, further candidates, questions, priors.

An answer of the model that writes tests holds about seven inputs. Without their expected values they
are inputs that a model wrote, at the price of one test: those of one and of three recorded answers are
known before the first test, and these answers are no tests then. Tests are those of the recorded run as
they are, or one assertion of each, judged by the recorded outputs. Further candidates are those of the
recorded run; one is an answer of a model, as a test is. ``logprobs.jsonl`` holds the mean
log-probabilities of recorded candidates under the model that wrote them. ``calibrated`` picks, at equal
budgets.
"""

import argparse
import ast
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from input_mutations import accuracies, inputs_before_tests
from numpy.typing import NDArray
from recorded_blocks import RECORDED_RUN
from recorded_parts import SEED, keep_candidates, recorded_tests

from testbudget.executors.execution.output_digests import value_digest
from testbudget.executors.execution.values import encode
from testbudget.executors.execution.written_inputs import recorded_calls
from testbudget.executors.generation.extraction.answers import UnusableError
from testbudget.executors.generation.extraction.extract import extract_unit_test
from testbudget.executors.generation.extraction.written_inputs import extract_inputs
from testbudget.rewards.bootstrap import Interval, bootstrap_means, intervals
from testbudget.rewards.equivalence import equivalence_groups
from testbudget.rewards.outputs import (
    NO_RESULT,
    RecordedCall,
    RecordedOutputs,
    join_outputs,
    select_outputs,
)
from testbudget.rewards.prefix_statistics import PrefixStatistics
from testbudget.rewards.problem import Problem
from testbudget.rewards.selection.base import ScoringRule
from testbudget.rewards.selection.calibrated import Calibrated
from testbudget.rewards.votes import Votes
from testbudget.traces.learning_curves import RecordedTests, random_permutations
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.problems import load_problems
from testbudget.traces.tables import read_trace
from testbudget.traces.trace import ProblemTrace

LOGPROBS = Path(__file__).parent / "logprobs.jsonl"
COUNTS = (1, 2, 3, 5, 8)
"""Numbers of tests."""

_CANDIDATES = 16
_WEIGHTS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0)  # of the log-probability in the score
_PERMUTATIONS = 20
ANSWERS = (1, 3)
"""Numbers of answers whose inputs are known."""


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """One problem with its recorded tests.

    Attributes:
        problem: the problem.
        trace: its part of the recorded run.
        tests: tests as recorded, on the first candidates.
    """

    problem: Problem
    trace: ProblemTrace
    tests: RecordedTests


def read_recorded(every: int) -> list[Recorded]:
    """One problem in so many of the recorded run."""
    trace, outputs = read_trace(RECORDED_RUN), read_outputs(RECORDED_RUN)
    found = []
    for problem in load_problems("humaneval")[::every]:
        seen = trace.problem(problem)
        assert seen.correct is not None
        whole = RecordedTests.of(seen, seen.correct, outputs[problem.id])
        found.append(Recorded(problem, seen, keep_candidates(whole, _CANDIDATES)))
    return found


def without_answers(tests: RecordedTests, answers: NDArray[np.intp]) -> RecordedTests:
    """The tests but those of some answers."""
    kept = ~np.isin(tests.indices, answers)
    return replace(tests, indices=tests.indices[kept], rows=tests.rows[kept], costs=tests.costs[kept])


def with_inputs_of_answers(one: Recorded, tests: RecordedTests, answers: NDArray[np.intp]) -> RecordedTests:
    """The same tests, with the outputs on all inputs of some answers known before the first of them."""
    outputs = one.tests.recorded_outputs
    assert outputs is not None
    assert tests.recorded_outputs is not None
    places = [place for place, item in enumerate(outputs.inputs) if item.test in answers]
    alone = select_outputs(outputs, inputs=places)
    alone = replace(alone, inputs=tuple(replace(item, test=None) for item in alone.inputs))
    return replace(tests, recorded_outputs=join_outputs([alone, tests.recorded_outputs]))


def single_assertions(one: Recorded, random: np.random.Generator) -> RecordedTests:
    """One equality of each test as a test of its own, judged by the recorded output on its call."""
    tests = one.tests
    outputs = tests.recorded_outputs
    assert outputs is not None
    place_of = {(item.test, item.digest): place for place, item in enumerate(outputs.inputs)}
    kept, places, expected = [], [], []
    for position in np.flatnonzero(tests.rows >= 0).tolist():
        index = int(tests.indices[position])
        code = extract_unit_test(one.trace.tests[index].text, one.problem.entry_point).code
        equalities = [
            (place_of[index, call.digest], digest)
            for call, digest in _equalities(code or "", str(one.problem.entry_point))
            if (index, call.digest) in place_of
        ]
        if equalities:
            place, digest = equalities[random.integers(len(equalities))]
            kept.append(position)
            places.append(place)
            expected.append(digest)
    digests = np.array([*(output.digest for output in outputs.outputs), 0], np.uint64)
    results = outputs.results[:, places].T[:, tests.programs]
    passed = (digests[results] == np.array(expected, np.uint64)[:, np.newaxis]) & (results != NO_RESULT)
    return replace(
        tests,
        votes=Votes.from_matrix(passed.reshape(len(kept), len(tests.programs))),
        recorded_outputs=RecordedOutputs(
            tuple(outputs.inputs[place] for place in places), outputs.outputs, outputs.results[:, places]
        ),
        indices=tests.indices[kept],
        rows=np.arange(len(kept)),
        costs=tests.costs[kept],
    )


def _equalities(code: str, entry_point: str) -> Iterator[tuple[RecordedCall, int]]:
    """Calls whose value a test compares with a literal, and the digest of the literal."""
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Call(ast.Attribute(attr="assertEqual"), [call, value, *_]):
                pass
            case ast.Assert(ast.Compare(call, [ast.Eq()], [value])):
                pass
            case _:
                continue
        try:
            (given,) = recorded_calls(extract_inputs(ast.unparse(call), entry_point))
            literal = json.loads(encode(ast.literal_eval(value)))
        except (UnusableError, ValueError, TypeError):
            continue
        yield given, value_digest(literal)


def rows(
    alone: NDArray[np.float64], others: Mapping[str, NDArray[np.float64]]
) -> tuple[list[float], dict[str, list[Interval]]]:
    """Accuracy of tests alone in %, and points that others gain over it, by number of tests."""
    columns = 100 * np.concatenate([alone, *others.values()], axis=2)
    means = np.split(bootstrap_means(columns, SEED), 1 + len(others), axis=1)
    gained = {
        name: list(intervals(values - means[0])) for name, values in zip(others, means[1:], strict=True)
    }
    return means[0][0].tolist(), gained


def show(title: str, accuracy: Sequence[float], gained: Mapping[str, Sequence[Interval]]) -> None:
    """Print a table: accuracy of tests alone, and points gained."""
    print(f"\n{title}")
    print(f"{'tests':<44}{''.join(f'{count:>14}' for count in COUNTS)}")
    print(f"{'tests alone':<44}{''.join(f'{value:>14.1f}' for value in accuracy)}")
    for name, found in gained.items():
        texts = [f"{one.value:+.1f} ±{(one.high - one.low) / 2:.1f}" for one in found]
        print(f"{name:<44}{''.join(f'{text:>14}' for text in texts)}", flush=True)


def evaluate_inputs(
    title: str, recorded: Sequence[Recorded], tests: Sequence[RecordedTests], permutations: int
) -> dict[str, Any]:
    """Inputs of answers beside tests, with the same number of tests and at the same price."""
    counts = (*COUNTS, *(count - 1 for count in COUNTS))
    drawn = []
    for place, one in enumerate(recorded):
        voted = one.tests.indices[one.tests.rows >= 0]
        drawn.append(np.random.default_rng([SEED, place]).permutation(voted)[: max(ANSWERS)])
    pool = [without_answers(of_one, answers) for of_one, answers in zip(tests, drawn, strict=True)]
    alone = accuracies(pool, COUNTS, permutations)
    others, inputs = {}, []
    for number in ANSWERS:
        known = [
            with_inputs_of_answers(one, of_one, answers[:number])
            for one, of_one, answers in zip(recorded, pool, drawn, strict=True)
        ]
        inputs.append(float(np.mean([inputs_before_tests(one) for one in known])))
        columns = np.split(accuracies(known, counts, permutations), 2, axis=2)
        others[f"and {inputs[-1]:.0f} inputs"] = columns[0]
        others[f"one test less and {inputs[-1]:.0f} inputs"] = columns[1]
    accuracy, gained = rows(alone, others)
    show(f"{title}, {len(tests)} problems", accuracy, gained)
    return {"accuracy": [round(value, 2) for value in accuracy], "gained": _rounded(gained)}


def evaluate_candidates(every: int, permutations: int) -> dict[str, Any]:
    """Sixteen further candidates beside as many further tests: an answer of a model each.

    Problems are parted by the agreement of the first candidates on the inputs of the tests, which needs no
    labels: in one half some group convinces, in the other none does.
    """
    whole = recorded_tests()[::every]
    few = [keep_candidates(one, _CANDIDATES) for one in whole]
    agreement = np.array([_agreement(one) for one in few])
    found: dict[str, Any] = {}
    for title, chosen in (
        ("all problems", np.ones(len(few), np.bool_)),
        ("the half where candidates agree least", agreement <= np.median(agreement)),
    ):
        places = np.flatnonzero(chosen).tolist()
        counts = (*COUNTS, *(count + _CANDIDATES for count in COUNTS))
        columns = accuracies([few[place] for place in places], counts, permutations)
        more = [keep_candidates(whole[place], 2 * _CANDIDATES) for place in places]
        alone, further = np.split(columns, 2, axis=2)
        accuracy, gained = rows(
            alone,
            {
                "and 16 further candidates": accuracies(more, COUNTS, permutations),
                "and 16 further tests": further,
            },
        )
        show(f"{_CANDIDATES} candidates, {title}: {len(places)}", accuracy, gained)
        found[title] = {"accuracy": [round(value, 2) for value in accuracy], "gained": _rounded(gained)}
    return found


def evaluate_questions(every: int, permutations: int) -> dict[str, Any]:
    """Reliability that an answer to 'which of these two outputs is right?' needs to be worth following.

    The question is about the two leading output groups. An answer that is right with probability r,
    followed always, gains ``r P(second alone is right) - (1 - r) P(first alone is right)``: it needs
    ``r > first / (first + second)``. In the half of the picks with the smallest lead it needs less.
    """
    rule = Calibrated()
    few = [keep_candidates(one, _CANDIDATES) for one in recorded_tests()[::every]]
    found: dict[str, Any] = {}
    print(f"\nTwo leading output groups of {_CANDIDATES} candidates, {len(few)} problems: % of picks")
    heads = ("first right", "second right", "r needed", "least leads", "r needed")
    print(f"{'tests':<8}{''.join(f'{head:>14}' for head in heads)}")
    for count in COUNTS:
        seen = []
        for permutation in range(permutations):
            drawn = random_permutations(few, np.random.default_rng([SEED, permutation]))
            for one, tests in zip(few, drawn, strict=True):
                seen.append(_leading(one, tests[:count], rule))
        lead, first, second = np.array([row for row in seen if row is not None]).T
        close = lead <= np.median(lead)
        needed = [_needed(first[chosen], second[chosen]) for chosen in (lead > -1, close)]
        shares = [100 * first.mean(), 100 * second.mean(), 100 * second[close].mean()]
        found[str(count)] = {
            "first": round(shares[0], 1),
            "second": round(shares[1], 1),
            "needed": needed[0],
            "needed where the lead is small": needed[1],
        }
        cells = (f"{shares[0]:.1f}", f"{shares[1]:.1f}", needed[0], f"{shares[2]:.1f}", needed[1])
        print(f"{count:<8}{''.join(f'{cell:>14}' for cell in cells)}", flush=True)
    return found


def _needed(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Reliability at which following the answer neither gains nor loses."""
    either = first.mean() + second.mean()
    return round(float(first.mean() / either), 3) if either else 1.0


def _leading(
    one: RecordedTests, tests: NDArray[np.intp], rule: ScoringRule
) -> tuple[float, float, float] | None:
    """Lead of the first group in score, share of it that alone is right, and the same of the second."""
    evidence = one.evidence(tests)
    assert evidence.outputs is not None
    scores = rule.scores(PrefixStatistics(evidence, [evidence.votes.tests]))[0]
    groups = equivalence_groups(replace(evidence, votes=Votes(evidence.votes.candidates)))
    best = np.full(groups.max() + 1, -np.inf)
    np.maximum.at(best, groups, scores)
    if len(best) < 2:
        return None
    leading, following = np.argsort(-best, kind="stable")[:2]
    right = [float(one.correct[groups == group].mean()) for group in (leading, following)]
    lead = float(best[leading] - best[following])
    return lead, right[0] * (1 - right[1]), right[1] * (1 - right[0])


def evaluate_logprobs(recorded: Sequence[Recorded], permutations: int) -> dict[str, Any]:
    """Mean log-probability of a candidate as a prior of the score, its weight chosen on half of them.

    Each candidate's score gets ``weight * z``, with z the log-probability standardised within the problem.
    """
    lines = map(json.loads, LOGPROBS.read_text(encoding="utf-8").splitlines())
    known = {line["problem"]: np.asarray(line["logprobs"], np.float64) for line in lines}
    having = [one for one in recorded if one.problem.id in known]
    aurocs, columns = [], np.empty((len(_WEIGHTS), len(having), 1 + len(COUNTS)))
    rule = Calibrated()
    for place, one in enumerate(having):
        logprobs = known[one.problem.id]
        tests = keep_candidates(one.tests, len(logprobs))
        right, wrong = logprobs[tests.correct], logprobs[~tests.correct]
        if len(right) and len(wrong):
            aurocs.append(float(np.mean(np.sign(right[:, np.newaxis] - wrong) / 2 + 0.5)))
        prior = (logprobs - logprobs.mean()) / (logprobs.std() + 1e-9)
        sums = np.zeros((len(_WEIGHTS), 1 + len(COUNTS)))
        for permutation in range(permutations):
            order = np.random.default_rng([SEED, permutation]).permutation(tests.tests)
            evidence = tests.evidence(order)
            most = evidence.votes.tests
            statistics = PrefixStatistics(evidence, [min(count, most) for count in (0, *COUNTS)])
            scores = rule.scores(statistics)
            for row, weight in enumerate(_WEIGHTS):
                total = np.round(scores + weight * prior, 9)
                best = total == total.max(axis=1, keepdims=True)
                sums[row] += (best @ tests.correct.astype(np.float64)) / best.sum(axis=1)
        columns[:, place] = 100 * sums / permutations
    half = np.arange(len(having)) % 2 == 0
    chosen = int(columns[:, half].mean(axis=(1, 2)).argmax())
    gained = intervals(bootstrap_means((columns[chosen] - columns[0])[np.newaxis, ~half], SEED))
    means = [round(float(value), 1) for value in columns[0][~half].mean(axis=0)]
    print(f"\nLog-probabilities, {len(having)} problems: AUROC within a problem {np.mean(aurocs):.2f}")
    print(f"{'tests':<44}{''.join(f'{count:>14}' for count in (0, *COUNTS))}")
    print(f"{'tests alone, other half':<44}{''.join(f'{value:>14}' for value in means)}")
    texts = [f"{one.value:+.1f} ±{(one.high - one.low) / 2:.1f}" for one in gained]
    print(
        f"{f'prior of weight {_WEIGHTS[chosen]}':<44}{''.join(f'{text:>14}' for text in texts)}", flush=True
    )
    return {
        "auroc": round(float(np.mean(aurocs)), 3),
        "weight": _WEIGHTS[chosen],
        "alone": means,
        "gained": [[round(v, 2) for v in (one.value, one.low, one.high)] for one in gained],
    }


def _agreement(one: RecordedTests) -> float:
    """Share of pairs of candidates with equal known outputs, mean over the inputs of all tests."""
    assert one.recorded_outputs is not None
    results = one.recorded_outputs.results.T[:, one.programs]
    equal = (results[:, :, np.newaxis] == results[:, np.newaxis, :]) & (results >= 0)[:, :, np.newaxis]
    return float(equal.mean())


def _rounded(gained: Mapping[str, Sequence[Interval]]) -> dict[str, list[list[float]]]:
    return {
        name: [[round(v, 2) for v in (one.value, one.low, one.high)] for one in found]
        for name, found in gained.items()
    }


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--permutations", type=int, default=_PERMUTATIONS, help="of the tests (default: %(default)s)"
    )
    parser.add_argument(
        "--every", type=int, default=1, help="one problem in so many (default: %(default)s)"
    )
    parser.add_argument("--quick", action="store_true", help="11 problems, 2 permutations")
    arguments = parser.parse_args()
    every, permutations = (15, 2) if arguments.quick else (arguments.every, arguments.permutations)
    recorded = read_recorded(every)
    cut = [single_assertions(one, np.random.default_rng([SEED, n])) for n, one in enumerate(recorded)]
    having = [place for place, one in enumerate(cut) if one.tests >= max(COUNTS) + max(ANSWERS)]
    found = {
        "single assertions": evaluate_inputs(
            "One assertion of each test",
            [recorded[place] for place in having],
            [cut[place] for place in having],
            permutations,
        ),
        "as recorded": evaluate_inputs(
            "Tests as recorded", recorded, [one.tests for one in recorded], permutations
        ),
        "logprobs": evaluate_logprobs(read_recorded(5), permutations),
        "candidates": evaluate_candidates(every, permutations),
        "questions": evaluate_questions(every, min(permutations, 4)),
    }
    print()
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
