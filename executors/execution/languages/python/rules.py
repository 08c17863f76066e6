"""The rules by which a Python program counts as innocent, as far as they concern single names and nodes."""

import ast
import builtins
import re
import string
from collections.abc import Iterator
from enum import Enum, auto

from executors.execution.languages.python import library

BANNED_NAMES = frozenset(
    "breakpoint compile delattr dir eval exec getattr globals help locals memoryview open setattr vars "
    "ForwardRef Type dataclass_transform get_type_hints no_type_check no_type_check_decorator".split()
)
BANNED_ATTRIBUTES = frozenset(
    # of frames, and of what leads to them
    "gi_frame gi_code gi_yieldfrom cr_frame cr_code cr_await cr_origin ag_frame ag_code ag_await tb_frame "
    "tb_next tb_lasti f_back f_globals f_locals f_builtins f_code f_trace co_consts co_code with_traceback "
    # of mocks, by which a test sees what was done
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


class Place(Enum):
    """Where an expression stands, as far as it matters."""

    VALUE = auto()  # what it gives may go anywhere
    CALLED = auto()
    BASE = auto()  # of an attribute
    READ = auto()  # an item of it
    TYPE = auto()  # where classes are only looked at: annotations, isinstance, parents, decorators
    COMPARED = auto()  # with types and nothing else
    SHOWN = auto()  # as text
    WRAPPING = auto()  # called as ``wraps`` should be


class SuspiciousError(Exception):
    """The program is not innocent."""


def require(condition: bool) -> None:
    """Raises SuspiciousError where a rule is broken."""
    if not condition:
        raise SuspiciousError


def require_attribute(node: ast.Attribute, place: Place) -> None:
    """The rules for the name of an attribute."""
    name, base, reads = node.attr, node.value, type(node.ctx) is ast.Load
    require(name not in BANNED_ATTRIBUTES and name[:6] != "assert")
    if name == "format":
        # A text can look into any object that it formats.
        require(type(base) is ast.Constant and _looks_nowhere(str(base.value)))
    elif name == "__class__":
        require(reads and place in {Place.BASE, Place.COMPARED, Place.CALLED} and not is_of_class(base))
    elif name == "__dict__":
        require(reads and place is Place.COMPARED)
    elif is_special(name):
        require(reads and name in READABLE)
        if name in {"__init__", "__new__"}:  # of a parent
            require(type(base) is ast.Name or _is_call_of(base, "super"))


def require_path(module: str, path: list[str], place: Place) -> None:
    """The rules for attributes of a module, the last one first."""
    name = path[-1]
    part = f"{module}.{name}"
    require(name in library.ALLOWED[module])
    if len(path) == 1:
        require(part not in library.ONLY_PARTS or place in {Place.BASE, Place.READ})
        require_part(name, place)
    elif part in library.ALLOWED:
        require_path(part, path[:-1], place)


def require_part(name: str, place: Place) -> None:
    """The rules for something of the library by its name there."""
    require(name != "wraps" or place is Place.WRAPPING)
    require(name != "ABCMeta")  # which is read as a metaclass only
    if LOOKS_LIKE_A_CLASS.match(name) and name not in _UNCHANGEABLE_CLASSES:
        require(place not in {Place.VALUE, Place.READ, Place.SHOWN})


def is_special(name: str) -> bool:
    """Whether the language gives a meaning to a name."""
    return name[:2] == "__" and name[-2:] == "__"


def _is_call_of(node: ast.AST, name: str) -> bool:
    return type(node) is ast.Call and type(node.func) is ast.Name and node.func.id == name


def is_class_of_something(node: ast.AST) -> bool:
    """Whether an expression asks for the class of an object, or for all of its attributes."""
    return _is_call_of(node, "type") or (
        type(node) is ast.Attribute and node.attr in {"__class__", "__dict__"}
    )


def is_of_class(node: ast.AST) -> bool:
    """Whether a chain of attributes and items goes by way of the class of something."""
    while not is_class_of_something(node):
        if not isinstance(node, (ast.Attribute, ast.Subscript)):
            return False
        node = node.value
    return True


def is_type(node: ast.expr, names: set[str]) -> bool:
    """Whether an expression stands for a type, or a collection of types; notes the names that it trusts."""
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return all(is_type(one, names) for one in node.elts)
    if type(node) is ast.Name and (hasattr(builtins, node.id) or LOOKS_LIKE_A_CLASS.match(node.id)):
        names.add(node.id)
        return True
    return is_class_of_something(node) or (type(node) is ast.Constant and node.value is None)


def root(node: ast.AST) -> str:
    """The name that a chain of attributes and items begins with; empty if it begins otherwise."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if type(node) is ast.Name else ""


def _looks_nowhere(text: str) -> bool:
    """Whether a text that formats values looks at nothing but these values."""
    try:
        return not any(_LOOK_UP.search(field) for field in _fields(text))
    except ValueError:
        return True  # it can format nothing


def _fields(text: str) -> Iterator[str]:
    for _, field, specification, _ in string.Formatter().parse(text):
        if field is not None:
            yield field
            yield from _fields(specification or "")
