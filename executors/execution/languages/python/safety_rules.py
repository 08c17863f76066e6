"""Rules for side-effect-free Python programs: allowed parts of the library, single names, single nodes.

The parts of the library are listed by module. They keep no shared state, evaluate no text, look up no
attribute by a computed name, and lead to no other module.
"""

import ast
import builtins
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
import string
import typing
from collections.abc import Iterator
from enum import Enum, auto

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
"""Allowed names by module. Some keys are objects of a module, which may only be used by these names."""

ONLY_PARTS = frozenset(
    {"os.environ", "os.path", "sys.stderr", "sys.stdin", "sys.stdout", "collections.abc"}
)
"""Attributes of modules that may be used by their own attributes only, never as values."""

FORBIDDEN_WITH = {
    # From a task to its frames, and to the loop that runs the test as well.
    "asyncio": frozenset("get_context get_coro get_loop get_stack print_stack".split()),
    # Change what others log, and give records with tracebacks.
    "logging": frozenset(
        "addFilter addHandler callHandlers disabled filter filters getChild handle handlers level "
        "makeRecord manager parent propagate removeFilter removeHandler root setLevel".split()
    ),
    # Give access to files by descriptor.
    "open": frozenset("buffer detach fileno raw".split()),
}
"""Attributes that a program must not use if it uses the given module or function."""

WITH_PRIVATE_STATE = frozenset({"asyncio", "logging"})
"""Modules whose objects expose internals in attributes that begin with an underscore."""

ALIASES = frozenset(
    "ClassVar DefaultDict Deque Dict Final FrozenSet List Literal Optional Set Tuple Union".split()
)
"""Names of typing whose subscripted form cannot be changed."""

CONSTANT_MODULES = frozenset(
    "__future__ array bisect cmath collections copy datetime functools heapq itertools math operator "
    "random re statistics string textwrap time typing".split()
)
"""Modules whose objects can be changed only by assignment to an attribute."""


def names_leading_out() -> frozenset[str]:
    """Names in ``CONSTANT_MODULES`` that are not allowed, unless their values are allowed elsewhere."""
    modules = {name: importlib.import_module(name) for name in CONSTANT_MODULES}
    allowed = [getattr(module, name) for key, module in modules.items() for name in ALLOWED[key]]
    known = {id(value) for value in (*modules.values(), *allowed)}
    names = {
        name
        for key, module in modules.items()
        for name, value in vars(module).items()
        if name not in ALLOWED[key] and id(value) not in known and not isinstance(value, typing.TypeVar)
    }
    # A flag of re, an exception of copy and a namespace of typing: programs often use these names.
    return frozenset(names - {"T", "error", "re"})


def names_for_all(module: str) -> frozenset[str]:
    """Names that ``from module import *`` binds."""
    content = vars(importlib.import_module(module))
    return frozenset(content.get("__all__") or (name for name in content if not name.startswith("_")))


BANNED_NAMES = frozenset(
    "breakpoint compile delattr dir eval exec getattr globals help locals memoryview open setattr vars "
    "ForwardRef Type dataclass_transform get_type_hints no_type_check no_type_check_decorator".split()
)
BANNED_ATTRIBUTES = frozenset(
    # of frames, and of what leads to them
    "gi_frame gi_code gi_yieldfrom cr_frame cr_code cr_await cr_origin ag_frame ag_code ag_await tb_frame "
    "tb_next tb_lasti f_back f_globals f_locals f_builtins f_code f_trace co_consts co_code with_traceback "
    # of mocks, in which a test reads the calls that were made
    "attach_mock call_args call_args_list call_count called configure_mock method_calls mock_add_spec "
    "mock_calls reset_mock return_value side_effect failureException "
    # of texts and classes
    "format_map mro".split()
)
SPECIAL_METHODS = frozenset(
    f"__{name}__"
    for name in (
        "init new repr str format bytes eq ne lt le gt ge hash len iter next getitem setitem delitem "
        "contains call enter exit bool int float complex index abs neg pos invert round trunc floor ceil "
        "add radd iadd sub rsub isub mul rmul imul truediv rtruediv itruediv floordiv rfloordiv ifloordiv "
        "mod rmod imod pow rpow ipow and rand iand or ror ior xor rxor ixor lshift rlshift ilshift rshift "
        "rrshift irshift matmul rmatmul imatmul divmod rdivmod reversed missing post_init copy deepcopy "
        "length_hint aiter anext aenter aexit await"
    ).split()
)
READABLE = SPECIAL_METHODS | {"__name__", "__qualname__", "__doc__"}
ASSIGNABLE = SPECIAL_METHODS | {"__slots__", "__all__", "__doc__"}
LOOKS_LIKE_A_CLASS = re.compile(r"_*[A-Z]\w*[a-z]|ABC")
_UNCHANGEABLE_CLASSES = frozenset({"OrderedDict", "Decimal"})
TAKES_CLASSES = frozenset({"isinstance", "issubclass", "defaultdict"})
CALLS_NOTHING = frozenset("max min range print pow sum sorted zip".split())
_LOOK_UP = re.compile(r"[.\[]")


class ExpressionPlace(Enum):
    """Position of an expression, as far as the rules depend on it."""

    VALUE = auto()  # its value may be used anywhere
    CALLED = auto()
    BASE = auto()  # of an attribute
    READ = auto()  # an item of it
    TYPE = auto()  # where classes are only read: annotations, isinstance, base classes, decorators
    COMPARED = auto()  # with types and nothing else
    SHOWN = auto()  # as text
    WRAPPING = auto()  # called as ``wraps`` must be


class UnsafeProgramError(Exception):
    """Program that is not side-effect free."""


def require(condition: bool) -> None:
    """Raise UnsafeProgramError unless the condition holds."""
    if not condition:
        raise UnsafeProgramError


def require_attribute(node: ast.Attribute, place: ExpressionPlace) -> None:
    """Apply the rules for the name of an attribute."""
    name, base, reads = node.attr, node.value, type(node.ctx) is ast.Load
    require(name not in BANNED_ATTRIBUTES and name[:6] != "assert")
    if name == "format":
        # A format string can read attributes of any object that it formats.
        require(type(base) is ast.Constant and _reads_no_attributes(str(base.value)))
    elif name == "__class__":
        require(
            reads
            and place in {ExpressionPlace.BASE, ExpressionPlace.COMPARED, ExpressionPlace.CALLED}
            and not is_of_class(base)
        )
    elif name == "__dict__":
        require(reads and place is ExpressionPlace.COMPARED)
    elif is_special(name):
        require(reads and name in READABLE)
        if name in {"__init__", "__new__"}:  # of a parent
            require(type(base) is ast.Name or _is_call_of(base, "super"))


def require_path(module: str, path: list[str], place: ExpressionPlace) -> None:
    """Apply the rules for attributes of a module, the last one first."""
    name = path[-1]
    part = f"{module}.{name}"
    require(name in ALLOWED[module])
    if len(path) == 1:
        require(part not in ONLY_PARTS or place in {ExpressionPlace.BASE, ExpressionPlace.READ})
        require_part(name, place)
    elif part in ALLOWED:
        require_path(part, path[:-1], place)


def require_part(name: str, place: ExpressionPlace) -> None:
    """Apply the rules for an object of the library by its name there."""
    require(name != "wraps" or place is ExpressionPlace.WRAPPING)
    require(name != "ABCMeta")  # allowed as a metaclass only
    if LOOKS_LIKE_A_CLASS.match(name) and name not in _UNCHANGEABLE_CLASSES:
        require(place not in {ExpressionPlace.VALUE, ExpressionPlace.READ, ExpressionPlace.SHOWN})


def is_special(name: str) -> bool:
    """Return whether a name begins and ends with two underscores."""
    return name[:2] == "__" and name[-2:] == "__"


def _is_call_of(node: ast.AST, name: str) -> bool:
    return type(node) is ast.Call and type(node.func) is ast.Name and node.func.id == name


def asks_for_class(node: ast.AST) -> bool:
    """Return whether an expression is the class of an object or the dictionary of its attributes."""
    return _is_call_of(node, "type") or (
        type(node) is ast.Attribute and node.attr in {"__class__", "__dict__"}
    )


def is_of_class(node: ast.AST) -> bool:
    """Return whether a chain of attributes and items contains the class of an object."""
    while not asks_for_class(node):
        if not isinstance(node, (ast.Attribute, ast.Subscript)):
            return False
        node = node.value
    return True


def is_type(node: ast.expr, names: set[str]) -> bool:
    """Return whether an expression is a type or a collection of types; add their names to ``names``."""
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return all(is_type(one, names) for one in node.elts)
    if type(node) is ast.Name and (hasattr(builtins, node.id) or LOOKS_LIKE_A_CLASS.match(node.id)):
        names.add(node.id)
        return True
    return asks_for_class(node) or (type(node) is ast.Constant and node.value is None)


def base_name(node: ast.AST) -> str:
    """Name at the start of a chain of attributes and items; empty if it does not start with a name."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if type(node) is ast.Name else ""


def _reads_no_attributes(text: str) -> bool:
    """Return whether a format string reads no attributes or items of its values."""
    try:
        return not any(_LOOK_UP.search(field) for field in _fields(text))
    except ValueError:
        return True  # it is not a valid format string


def _fields(text: str) -> Iterator[str]:
    for _, field, specification, _ in string.Formatter().parse(text):
        if field is not None:
            yield field
            yield from _fields(specification or "")
