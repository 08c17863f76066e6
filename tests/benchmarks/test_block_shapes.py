"""Rows of blocks have the wanted shape and share of looping candidates, and no text occurs twice."""

import itertools

import numpy as np
import pytest


@pytest.fixture(scope="module")
def source(script):
    """A source of blocks of a few recorded problems, and of all problems with classes."""
    problems = script("recorded_blocks").recorded_problems()[:3]
    return script("block_shapes").BlockSource(problems, np.random.default_rng(0))


@pytest.mark.parametrize("objects", [False, True])
def test_no_text_occurs_twice(script, source, objects):
    shape = script("block_shapes").BlockShape(16, 3, objects, looping=0.05)
    blocks = [*source.row(shape), *source.row(shape)]
    texts = [text for block in blocks for text in block.candidates]
    texts += [test.code for block in blocks for test in block.tests]
    assert len(texts) == len(set(texts)) == len(blocks) * (16 + 3)


def test_the_share_of_looping_candidates_is_right_over_many_rows(script, source):
    shape = script("block_shapes").BlockShape(16, 32, objects=True, looping=0.05)
    looping = [block.looping for _ in range(25) for block in source.row(shape)]
    assert np.mean(looping) == pytest.approx(0.05, abs=0.003)


def test_an_empty_block_has_one_candidate_and_one_test(source):
    first, second = itertools.islice(source.empty_blocks(), 2)
    assert len(first.candidates) == len(first.tests) == 1
    assert first.candidates != second.candidates


def test_tests_of_classes_are_distinct(script):
    for problem in script("block_shapes").class_problems():
        codes = {problem.test(number).code for number in range(40)}
        assert len(codes) == 40
        assert not any("$" in code for code in codes)
