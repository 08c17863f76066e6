import asyncio
import pickle

import pytest

from testbudget.executors.calls import Callee
from testbudget.executors.code_version import check_code_version, code_version, made_with
from testbudget.rewards.errors import UserError


def test_a_process_has_its_own_version():
    check_code_version(code_version())


def test_other_sources_of_the_same_release_are_refused_in_a_sentence():
    release = code_version().partition(" ")[0]
    with pytest.raises(
        UserError, match=rf"the driver's testbudget {release} \(00000000\) but .* has {release}"
    ):
        check_code_version(f"{release} (00000000)")


def test_a_worker_with_other_code_refuses_every_call_and_has_used_nothing():
    answer = Callee(made_with("0 (0)", object)).answer("run", ("python", 1))
    assert isinstance(answer.error, UserError)
    assert isinstance(pickle.loads(pickle.dumps(answer)).error, UserError)
    assert not any(answer.reading.used)
    answer = asyncio.run(Callee(made_with("0 (0)", object, later=True)).answer_later("generate", ()))
    assert "install the same on every node" in str(answer.error)


def test_a_worker_with_the_same_code_is_made():
    assert made_with(code_version(), lambda: 3) == 3
