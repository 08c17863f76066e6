import subprocess
import sys

import pytest

from testbudget.difficulty.methods import prediction_method, storable_class
from testbudget.difficulty.names import METHOD_NAMES, STORABLE_METHODS
from testbudget.rewards.errors import UserError

LIGHT = ("base", "card", "examples", "methods", "predictions", "scores", "training")


@pytest.mark.parametrize("name", METHOD_NAMES)
def test_a_method_is_found_by_its_name(name):
    assert prediction_method(name).name == name


def test_trained_models_consist_of_storable_methods_only():
    assert {storable_class(name).__name__ for name in STORABLE_METHODS} == {"FittedProbe", "FittedLinear"}
    with pytest.raises(UserError, match="method must be one of probe, linear but got 'text'"):
        storable_class("text")
    with pytest.raises(UserError, match="but got 'magic'"):
        prediction_method("magic")


def test_modules_load_neither_torch_nor_scikit_learn_before_a_method_is_needed():
    modules = ", ".join(f"testbudget.difficulty.{name}" for name in LIGHT)
    code = f"import sys, {modules}; print([m for m in ('torch', 'sklearn') if m in sys.modules])"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )


def test_the_extra_of_a_missing_dependency_is_named(monkeypatch):
    for name in ("testbudget.difficulty.probe", "torch"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UserError, match=r"the probe needs torch.*pip install 'testbudget\[train\]'"):
        prediction_method("probe")
