"""Texts of programs in languages with braces: what is code in them, and how a test is joined to one."""

import re

_COMMENT, _TEXT_BLOCK, _STRING = "/*", '"""', '"'
_OPENING = re.compile(r'//[^\n]*|/\*|"""|"|' + r"'(?:\\[^\n]{1,9}?|[^'\\\n])'")
_REST = {
    _COMMENT: re.compile(r".*?\*/", re.DOTALL),
    _TEXT_BLOCK: re.compile(r'(?:\\.|.)*?"""', re.DOTALL),
    _STRING: re.compile(r'(?:\\.|[^"\\\n])*"', re.DOTALL),
}


def code_alone(text: str) -> str:
    """Text without comments and without the content of literals.

    One without an end counts as code. An end is looked for once in a line, or in the text, so that time is
    linear in the length.
    """
    parts: list[str] = []
    position, end = 0, 0
    endless = dict.fromkeys(_REST, 0)  # position up to which no end can be found
    while found := _OPENING.search(text, end):
        opening, start, end = found.group(), found.start(), found.end()
        if opening == _TEXT_BLOCK and start < endless[_TEXT_BLOCK]:
            opening, end = _STRING, start + len(_STRING)
        if opening in _REST:
            rest = _REST[opening].match(text, end) if start >= endless[opening] else None
            if rest is None:
                line_end = text.find("\n", start) if opening == _STRING else -1
                endless[opening] = max(endless[opening], len(text) if line_end < 0 else line_end)
                end = start if opening == _TEXT_BLOCK else start + 1  # it may begin with two quotes
                continue
            end = rest.end()
        parts += text[position:start], " "
        position = end
    return "".join([*parts, text[position:]])


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
