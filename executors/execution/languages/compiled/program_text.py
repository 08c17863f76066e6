"""Texts of programs in languages with braces: what is code in them, and how a test is joined to one."""

import re

_NO_CODE = re.compile(
    r'//[^\n]*|/\*.*?\*/|"""(?:\\.|.)*?"""|"(?:\\.|[^"\\\n])*"|' + r"'(?:\\[^\n]{1,9}?|[^'\\\n])'",
    re.DOTALL,
)


def code_alone(text: str) -> str:
    """Text without comments and without the content of literals."""
    return _NO_CODE.sub(" ", text)


def joined_by_braces(candidate: str, test: str) -> str:
    """Program of a candidate and a test, each of which may hold braces of the other.

    Tests in the form of MultiPL-E begin with the brace that ends the candidate's function, and, in Java,
    end with that of its class, since the candidates there are cut off before. If the candidate has these
    braces, they are left out in the test, or else at the candidate's end.
    """
    code = code_alone(f"{candidate}\n{test}")
    too_many = code.count("}") - code.count("{")
    while too_many > 0 and test.lstrip().startswith("}"):
        test, too_many = test.lstrip()[1:], too_many - 1
    while too_many > 0 and candidate.rstrip().endswith("}"):
        candidate, too_many = candidate.rstrip()[:-1], too_many - 1
    return f"{candidate}\n{test}"
