"""Names in Java programs: the file that a program has to be in, and the class that is run.

The name of the file follows from the text, without its comments and literals. The classes with a method
``main`` are found in the class files that the compiler has made, as in chapter 4 of the specification of
the Java virtual machine.
"""

import re
import struct

from testbudget.executors.execution.languages.compiled.program_text import code_alone

_DECLARATION = re.compile(
    r"(?P<brace>[{}])|(?<![\w.$])(?P<modifiers>(?:(?:public|final|abstract|strictfp|sealed|non-sealed)\s+)*)"
    r"(?:class|@?interface|enum|record)\s+(?P<name>[A-Za-z_$][\w$]*)"
)
_DEFAULT = "Main"

_HEADER = struct.Struct(">IHHH")  # magic number, minor and major version, constants
_MEMBER = struct.Struct(">HHHH")  # flags, name, descriptor, attributes
_ATTRIBUTE = struct.Struct(">HI")  # name, length
_TEXT, _LONG, _DOUBLE = 1, 5, 6
_CONSTANT_BYTES = {
    3: 4,
    4: 4,
    5: 8,
    6: 8,
    7: 2,
    8: 2,
    9: 4,
    10: 4,
    11: 4,
    12: 4,
    15: 3,
    16: 2,
    17: 4,
    18: 4,
} | {
    19: 2,
    20: 2,
}  # by kind
_PUBLIC_STATIC = 0x0009
_MAIN = (b"main", b"([Ljava/lang/String;)V")


def declared_types(text: str) -> list[tuple[str, bool]]:
    """Types that a program declares at its top, in their order: the name, and True if it is public."""
    found, depth = [], 0
    for match in _DECLARATION.finditer(code_alone(text)):
        if match["brace"]:
            depth += 1 if match["brace"] == "{" else -1
        elif depth == 0:
            found.append((match["name"], "public" in match["modifiers"].split()))
    return found


def source_name(text: str) -> str:
    """Name of the file that a program has to be in: that of its public type, or else any."""
    public = (name for name, is_public in declared_types(text) if is_public)
    return f"{next(public, _DEFAULT)}.java"


def class_to_run(text: str, class_files: dict[str, bytes]) -> str:
    """Name of the class whose method ``main`` is the program.

    If several have one: the public one, else the one called ``Main``, else the first in the text. If none
    has one: the same of all classes, with which the virtual machine tells what is missing.

    Args:
        text: the program.
        class_files: content of each class file, by the class's name with its package, parts joined by dots.
    """
    runnable = [name for name, content in class_files.items() if _has_main(content)] or [*class_files]
    declared = declared_types(text)
    order = (
        [name for name, is_public in declared if is_public] + [_DEFAULT] + [name for name, _ in declared]
    )
    place = {name: number for number, name in reversed([*enumerate(order)])}
    return min(
        runnable, key=lambda name: (place.get(name.rpartition(".")[2], len(order)), name), default=_DEFAULT
    )


def _has_main(content: bytes) -> bool:
    """Return whether a class file has a method ``public static void main(String[])``."""
    _, _, _, constants = _HEADER.unpack_from(content)
    position, number = _HEADER.size, 1
    texts: dict[int, bytes] = {}
    while number < constants:
        kind = content[position]
        if kind == _TEXT:
            length = int.from_bytes(content[position + 1 : position + 3])
            texts[number] = content[position + 3 : position + 3 + length]
            position += 3 + length
        else:
            position += 1 + _CONSTANT_BYTES[kind]
        number += 2 if kind in {_LONG, _DOUBLE} else 1
    interfaces = int.from_bytes(content[position + 6 : position + 8])
    position += 8 + 2 * interfaces
    for is_method in (False, True):  # fields come first
        members = int.from_bytes(content[position : position + 2])
        position += 2
        for _ in range(members):
            flags, name, descriptor, attributes = _MEMBER.unpack_from(content, position)
            named = (texts.get(name), texts.get(descriptor))
            if is_method and named == _MAIN and flags & _PUBLIC_STATIC == _PUBLIC_STATIC:
                return True
            position += _MEMBER.size
            for _ in range(attributes):
                _, length = _ATTRIBUTE.unpack_from(content, position)
                position += _ATTRIBUTE.size + length
    return False
