"""Imports that a Python test forgot, from the standard library."""

_MODULES = (
    "array bisect cmath collections copy datetime decimal fractions functools heapq io itertools json math "
    "operator os random re statistics string sys time typing unittest"
)
_NAMES = {
    "collections": "ChainMap Counter OrderedDict defaultdict deque namedtuple",
    "contextlib": "contextmanager redirect_stdout suppress",
    "dataclasses": "dataclass",
    "decimal": "Decimal",
    "enum": "Enum IntEnum",
    "fractions": "Fraction",
    "functools": "cmp_to_key lru_cache partial reduce",
    "io": "BytesIO StringIO",
    "itertools": "accumulate chain combinations groupby permutations product zip_longest",
    "typing": "Any Callable Dict Iterable Iterator List Optional Sequence Set Tuple Union",
    "unittest": "IsolatedAsyncioTestCase TestCase mock",
    "unittest.mock": "MagicMock Mock call mock_open patch",
}
_LINES = {name: f"import {name}" for name in _MODULES.split()} | {
    name: f"from {module} import {name}" for module, names in _NAMES.items() for name in names.split()
}


def forgotten_imports(missing: set[str]) -> list[str]:
    """Lines that import names from the standard library, ordered; other names are left out.

    Args:
        missing: names that a test uses and that nothing defines.
    """
    return sorted(_LINES[name] for name in missing if name in _LINES)
