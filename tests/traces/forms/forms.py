"""Rows of public data sets in small, and their reading."""

import base64
import json
import pickle
import zlib

from testbudget.traces.forms.form import FormDefaults
from testbudget.traces.forms.registry import FORMS, recognised_form
from testbudget.traces.rows.row_fields import RowFields


def read(form, row, language="python", number=0):
    """Problem of a row of a form."""
    return FORMS[form].read(RowFields(row), FormDefaults(language, number))


def recognised(row):
    """Name of the form that a row is recognised as."""
    return recognised_form(row).name


def packed(tests):
    """Private tests as LiveCodeBench packs them."""
    return base64.b64encode(zlib.compress(pickle.dumps(json.dumps(tests)))).decode()


def passes(problem, code):
    """Return whether a program of ours passes the ground truth, which is code, outside of any sandbox."""
    for test in problem.ground_truth.tests:
        names = {}
        exec(code, names)
        try:
            exec(test, names)
        except Exception:
            return False
    return True
