"""Names that tests call, from which the entry point of a problem is found."""

import ast
import builtins
import re
from collections.abc import Iterator, Sequence


def called_names(text: str) -> Iterator[str]:
    """Names that a text calls, outer calls first, without those that Python has itself."""
    module = parsed_python(text)
    if module is None:
        names: Sequence[str] = re.findall(r"\b([A-Za-z_]\w*)\s*\(", text)
    else:
        names = [
            node.func.id
            for node in ast.walk(module)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        ]
    yield from (name for name in names if not hasattr(builtins, name))


def only_called_name(tests: Sequence[str]) -> str | None:
    """Name of the one function that all tests call and none defines or imports; None if it is not one.

    Args:
        tests: codes of tests in Python.
    """
    common: set[str] | None = None
    for text in tests:
        module = parsed_python(text)
        if module is None:
            return None
        bound = {node.name for node in ast.walk(module) if isinstance(node, _DEFINITIONS)}
        bound |= {node.arg for node in ast.walk(module) if isinstance(node, ast.arg)}
        bound |= {node.id for node in ast.walk(module) if isinstance(node, ast.Name) and _is_bound(node)}
        bound |= {
            (alias.asname or alias.name).partition(".")[0]
            for node in ast.walk(module)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        names = set(called_names(text)) - bound
        common = names if common is None else common & names
    return next(iter(common)) if common and len(common) == 1 else None


_DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _is_bound(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def parsed_python(code: str) -> ast.Module | None:
    """Syntax tree of a program; None if it does not parse."""
    try:
        return ast.parse(code.replace("\r\n", "\n").replace("\t", "    "))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
