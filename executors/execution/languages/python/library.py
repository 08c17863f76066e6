"""What an innocent program may use of the standard library.

Lists of what is allowed, module by module: whatever keeps no state that others share, evaluates no text,
looks up no attribute by a computed name, and leads to no other module.
"""

import collections
import collections.abc
import datetime
import hashlib
import importlib
import numbers
import operator
import random
import re
import statistics
import typing

_WHOLE = "__future__ array bisect cmath heapq itertools math".split()
_LISTED = {
    "abc": "ABC ABCMeta abstractmethod",
    "asyncio": "BoundedSemaphore CancelledError Event LifoQueue Lock PriorityQueue Queue QueueEmpty "
    "QueueFull Semaphore TimeoutError as_completed create_task gather iscoroutine iscoroutinefunction run "
    "sleep wait wait_for",
    "base64": "b64encode b64decode b32encode b32decode b16encode b16decode urlsafe_b64encode "
    "urlsafe_b64decode",
    "calendar": "FRIDAY MONDAY SATURDAY SUNDAY THURSDAY TUESDAY WEDNESDAY day_abbr day_name isleap "
    "leapdays month_abbr month_name monthcalendar monthrange timegm weekday",
    "collections": "abc " + " ".join(collections.__all__),
    "collections.abc": " ".join(collections.abc.__all__),
    "contextlib": "AsyncExitStack ExitStack asynccontextmanager closing contextmanager nullcontext "
    "suppress",
    "copy": "copy deepcopy",
    "dataclasses": "FrozenInstanceError asdict astuple dataclass field is_dataclass replace",
    "datetime": " ".join(datetime.__all__),
    "decimal": "Decimal DivisionByZero InvalidOperation ROUND_CEILING ROUND_DOWN ROUND_FLOOR "
    "ROUND_HALF_DOWN ROUND_HALF_EVEN ROUND_HALF_UP ROUND_UP",
    "enum": "Enum Flag IntEnum IntFlag StrEnum auto unique",
    "fractions": "Fraction",
    "functools": "cache cached_property cmp_to_key lru_cache partial reduce total_ordering wraps",
    "hashlib": " ".join(set(hashlib.__all__) - {"file_digest"}),
    "io": "BytesIO StringIO",
    "json": "JSONDecodeError dumps loads",
    "logging": "CRITICAL DEBUG ERROR INFO WARNING critical debug error exception getLogger info warning",
    "numbers": " ".join(numbers.__all__),
    "operator": " ".join(set(operator.__all__) - {"attrgetter", "methodcaller"}),
    "os": "environ getenv linesep path sep",
    "os.environ": "get",
    "os.path": "abspath basename commonpath commonprefix dirname exists getsize isabs isdir isfile join "
    "normpath relpath sep split splitext",
    "random": " ".join(random.__all__),
    "re": " ".join(set(re.__all__) - {"template"}),
    "statistics": " ".join(statistics.__all__),
    "string": "ascii_letters ascii_lowercase ascii_uppercase capwords digits hexdigits octdigits printable "
    "punctuation whitespace",
    "sys": "exit float_info getrecursionlimit maxsize maxunicode setrecursionlimit stderr stdin stdout",
    "sys.stderr": "flush write",
    "sys.stdin": "read readline readlines",
    "sys.stdout": "flush write",
    "textwrap": "dedent fill indent shorten wrap",
    "time": "asctime ctime gmtime localtime mktime monotonic monotonic_ns perf_counter perf_counter_ns "
    "process_time sleep strftime strptime struct_time time time_ns",
    "typing": " ".join(
        set(typing.__all__)
        - {
            "ForwardRef",
            "dataclass_transform",
            "get_type_hints",
            "no_type_check",
            "no_type_check_decorator",
        }
    ),
    "warnings": "warn",
}

ALLOWED = {name: frozenset(names.split()) for name, names in _LISTED.items()} | {
    name: frozenset(name for name in dir(importlib.import_module(name)) if not name.startswith("_"))
    for name in _WHOLE
}
"""Names that may be used, by module. Some are no modules but objects that only serve to use these names."""

ONLY_PARTS = frozenset(
    {"os.environ", "os.path", "sys.stderr", "sys.stdin", "sys.stdout", "collections.abc"}
)
"""Attributes of modules that may be used by their own attributes only, never as values."""

BEHIND = {
    # These would lead from a task to its frames, and to the loop that runs the test as well.
    "asyncio": frozenset("get_context get_coro get_loop get_stack print_stack".split()),
    # These would change what is logged for everybody, and hand out records with tracebacks.
    "logging": frozenset(
        "addFilter addHandler callHandlers disabled filter filters getChild handle handlers level "
        "makeRecord manager parent propagate removeFilter removeHandler root setLevel".split()
    ),
    # These would lead to files by their number.
    "open": frozenset("buffer detach fileno raw".split()),
}
"""Attributes that a program must not use if it uses a certain module or function."""

WITH_PRIVATE_STATE = frozenset({"asyncio", "logging"})
"""Modules whose objects show what must not be touched in attributes that begin with an underscore."""

ALIASES = frozenset(
    "ClassVar DefaultDict Deque Dict Final FrozenSet List Literal Optional Set Tuple Union".split()
)
"""Names of typing that, with an argument, stand for nothing that could be changed."""

HARMLESS = frozenset(
    "__future__ array bisect cmath collections copy datetime functools heapq itertools math operator "
    "random re statistics string textwrap time typing".split()
)
"""Modules whose objects cannot be changed but by assignment to an attribute."""


def leading_further() -> frozenset[str]:
    """Names in harmless modules that are not allowed, unless they only lead to what is."""
    modules = {name: importlib.import_module(name) for name in HARMLESS}
    allowed = [getattr(module, name) for key, module in modules.items() for name in ALLOWED[key]]
    known = {id(value) for value in (*modules.values(), *allowed)}
    names = {
        name
        for key, module in modules.items()
        for name, value in vars(module).items()
        if name not in ALLOWED[key] and id(value) not in known and not isinstance(value, typing.TypeVar)
    }
    # A flag of re, an exception of copy and a namespace of typing; each of the names is often used.
    return frozenset(names - {"T", "error", "re"})


def names_for_all(module: str) -> frozenset[str]:
    """What ``from module import *`` binds."""
    content = vars(importlib.import_module(module))
    return frozenset(content.get("__all__") or (name for name in content if not name.startswith("_")))
