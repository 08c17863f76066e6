import pytest

from testbudget.rewards.errors import UserError
from testbudget.scheduler.backends.base import Backend
from testbudget.scheduler.backends.registry import BACKENDS, backend_class


@pytest.mark.parametrize("name", BACKENDS)
def test_a_built_in_is_found_by_its_name(name):
    assert issubclass(backend_class(name), Backend)


def test_a_back_end_of_another_distribution_must_keep_the_contract(install_plugin):
    place = {"testbudget.backends": {"queue": "acme_queue:Queue"}}
    head = "from testbudget.scheduler.backends.base import Backend\n"
    install_plugin("acme", place, {"acme_queue.py": f"{head}class Queue(Backend): pass\n"})
    with pytest.raises(UserError, match=r"'queue' of acme 1.0 must define .*submit, .* of Backend"):
        backend_class("queue")
    with pytest.raises(
        UserError, match="backend must be one of ray, in_process, recorded, queue but got 'q'"
    ):
        backend_class("q")
