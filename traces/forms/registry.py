"""Forms of rows of problems by name, and the form of rows by their columns."""

from collections.abc import Collection

from testbudget.traces.forms.contests import APPS, CODE_CONTESTS
from testbudget.traces.forms.form import ProblemForm
from testbudget.traces.forms.humaneval import HUMANEVAL, HUMANEVAL_PLUS
from testbudget.traces.forms.livecodebench import LIVECODEBENCH
from testbudget.traces.forms.mbpp import MBPP
from testbudget.traces.forms.own import OWN

# In this order rows are recognised: a form whose columns include those of another comes first.
_FORMS = (HUMANEVAL_PLUS, MBPP, HUMANEVAL, LIVECODEBENCH, APPS, CODE_CONTESTS, OWN)

FORMS = {form.name: form for form in _FORMS}
"""Forms by name."""


def recognised_form(columns: Collection[str]) -> ProblemForm:
    """The form of rows with these columns; this project's own if it is none of the others."""
    if {"prompt", "ground_truth"} <= set(columns):
        return OWN
    return next((form for form in _FORMS if any(needed <= set(columns) for needed in form.columns)), OWN)
