"""The split of problems: near-duplicates stay together, what judges is held out."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from testbudget.analysis.distill.split import prompt_similarities, split_problems
from testbudget.rewards.problem import Problem

WORDS = st.lists(st.sampled_from("sort sum list of numbers text words by length".split()), max_size=8)


def jaccard(first: str, second: str) -> float:
    sets = []
    for text in (first, second):
        words = text.lower().split()
        sets.append({tuple(words[i : i + 3]) for i in range(max(1, len(words) - 2))})
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


@given(st.lists(WORDS.map(" ".join), min_size=1, max_size=12))
def test_similarities_are_the_shares_of_common_word_triples(prompts):
    expected = [[jaccard(a, b) for b in prompts] for a in prompts]
    np.testing.assert_allclose(prompt_similarities(prompts).toarray(), expected)


@given(
    st.lists(WORDS.map(" ".join), min_size=2, max_size=25),
    st.lists(WORDS.map(" ".join), max_size=3),
    st.integers(0, 5),
)
def test_no_near_duplicate_is_on_the_other_side(prompts, withheld, seed):
    problems = [Problem(f"p{number}", prompt) for number, prompt in enumerate(prompts)]
    held_out = [Problem(f"h{number}", prompt) for number, prompt in enumerate(withheld)]
    split = split_problems(problems, held_out, near_duplicate=0.5, eval_share=0.3, seed=seed)
    by_side: dict[str, list[str]] = {"train": [], "eval": [], "held_out": []}
    for problem in problems:
        by_side[split.side[problem.content_hash]].append(problem.prompt)
    across = [jaccard(a, b) for a in by_side["train"] for b in by_side["eval"]]
    assert max(across, default=0) < 0.5
    assert split.closest.similarity == max(across, default=0)
    used = by_side["train"] + by_side["eval"]
    assert max((jaccard(a, b) for a in used for b in withheld), default=0) < 0.5
    assert by_side["train"] or not by_side["eval"]


def test_the_share_to_evaluate_on_is_kept_and_the_split_is_the_same_again():
    problems = [Problem(f"p{number}", f"alpha{number} beta{number} gamma{number}") for number in range(50)]
    first = split_problems(problems, [], near_duplicate=0.6, eval_share=0.2, seed=0)
    assert list(first.side.values()).count("eval") == 10
    assert split_problems(problems[::-1], [], near_duplicate=0.6, eval_share=0.2, seed=0).side == first.side
    assert split_problems(problems, [], near_duplicate=0.6, eval_share=0.2, seed=1).side != first.side
    assert (
        "eval" not in split_problems(problems, [], near_duplicate=0.6, eval_share=0, seed=0).side.values()
    )
