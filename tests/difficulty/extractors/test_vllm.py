import sys

import pytest

from testbudget.difficulty.extractors.vllm import VllmExtractor
from testbudget.rewards.errors import UserError


def test_the_missing_extra_is_named(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(UserError, match=r"needs vllm.*pip install 'testbudget\[vllm\]'"):
        VllmExtractor(model)


def test_a_size_below_one_is_a_user_error():
    with pytest.raises(UserError, match="max_tokens must be at least 1 but got 0"):
        VllmExtractor("any", max_tokens=0)
