"""Texts that processes leave about candidates and tests: results of calls, and messages of steps."""

import hashlib
import json
from enum import StrEnum

LONGEST_RESULT = 4096
"""Characters of a result that are sent to the runner; of a longer one, a digest and the beginning."""

_MAX_BEGINNING = 200  # characters of a longer result that are kept


class ResultKind(StrEnum):
    """First element of a result.

    Attributes:
        RETURNED: followed by the value. If the call changed its arguments or returned one of them, an
            object that describes this comes next.
        RAISED: followed by the description of the exception.
        OPAQUE: the result is not plain data. Nothing follows.
        ENDED: the candidate process ended during the call. Followed by the number of a verdict.
        CUT_SHORT: too long to be sent to the runner. Followed by its SHA-256 digest and its beginning.
    """

    RETURNED = "r"
    RAISED = "e"
    OPAQUE = "o"
    ENDED = "x"
    CUT_SHORT = "#"


OPAQUE_RESULT = f'["{ResultKind.OPAQUE}"]'
"""Text of a result that is not plain data."""


def bounded_result(text: str) -> str:
    """Text of a result, or its digest and its beginning if it is longer than `LONGEST_RESULT`."""
    if len(text) <= LONGEST_RESULT:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()
    return json.dumps([ResultKind.CUT_SHORT, digest, text[:_MAX_BEGINNING]])


class StepMessage(StrEnum):
    """First element of a text that a step leaves about itself, beside calls and results.

    A *reason* below is ``VerdictReason.as_message()``, or null where the verdict says it all.

    Attributes:
        NOT_COMPILED: from `Language.compile_sources`: the source does not compile. Followed by a reason,
            which holds the compiler's first line.
        NOT_LOADED: the candidate could not be loaded. Followed by the number of a verdict and a reason.
        VERDICT: followed by the number of a verdict, the number of results that it rests on (0 unless it
            comes from `Language.judge`), and a reason.
        MORE: the test needs the results of further calls. Followed by the number of results that were used.
            All calls that the test makes follow, each as a text of its own.
        OBJECTS: the test exchanges more than plain data with the candidate, so `Language.judge_objects` has
            to judge it. Followed by a reason, which is told if the language has no such method.
        IF_EQUAL: from `Language.judge_objects`: the test passes if pairs of objects have equal states, and
            other pairs have different ones. Followed by a list of pairs of scripts for
            `Language.object_state`, each a text, by the reason to tell if they have not, and by a list of
            pairs of scripts whose states must differ. A script without a state is neither equal nor
            different. In a pair that must differ, plain data that an object was made from is changed: the
            states of a candidate that compares nothing are equal there, too.
    """

    NOT_COMPILED = "c"
    NOT_LOADED = "l"
    VERDICT = "v"
    MORE = "m"
    OBJECTS = "t"
    IF_EQUAL = "s"
