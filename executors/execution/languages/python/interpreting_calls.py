"""Library calls of a test that would interpret what it got from the candidate.

A judge process never runs text of a candidate. What a test may call on values that are no constants of its
own is therefore an allow-list of modules, less the members that interpret data: as code, as the name of
something to import, or as a template that reads attributes. Where a test makes another call on such a
value, its pass is not confirmed. The calls in `DIVERTED` are made in the candidate's process instead.
Methods of texts that fill templates are watched while the test runs (`running_marks`).
"""

import ast
from collections.abc import Container, Mapping

from testbudget.executors.execution.languages.python.objects.library_calls import DIVERTED

_MODULES = frozenset(
    "__future__ __main__ abc argparse array ast asyncio atexit base64 binascii bisect builtins bz2 "
    "calendar cmath codecs collections colorsys concurrent configparser contextlib contextvars "
    "copy csv dataclasses datetime decimal difflib email enum errno filecmp fnmatch fractions "
    "functools gc getpass glob graphlib gzip hashlib heapq hmac html http inspect io ipaddress "
    "itertools json keyword linecache locale logging lzma math mimetypes multiprocessing numbers "
    "numpy operator os parameterized pathlib platform pprint pytest queue random re reprlib sched "
    "secrets select shlex shutil signal socket solution sqlite3 statistics string stringprep "
    "struct subprocess sys tarfile tempfile textwrap threading time timeit tokenize traceback "
    "types typing tracemalloc unicodedata unittest urllib uuid warnings weakref xml zipfile zlib "
    "zoneinfo".split()
)
"""Modules of which a test may call what is not in the other tables."""

_INTERPRETING = frozenset(
    """
    asyncio.create_subprocess_exec asyncio.create_subprocess_shell builtins.__import__ builtins.compile
    builtins.eval builtins.exec codecs.register concurrent.futures.ProcessPoolExecutor
    dataclasses.make_dataclass inspect.get_annotations locale.setlocale logging.config
    multiprocessing.Manager multiprocessing.Pool multiprocessing.Process multiprocessing.connection
    multiprocessing.managers multiprocessing.pool numpy.core numpy.ctypeslib numpy.f2py numpy.fromregex
    numpy.lib numpy.load numpy.memmap os.execl os.execv os.execve os.fork os.kill os.popen
    os.posix_spawn os.spawnl os.spawnv os.startfile os.system subprocess.Popen subprocess.call
    subprocess.check_call subprocess.check_output subprocess.getoutput subprocess.getstatusoutput
    subprocess.run sys.addaudithook sys.setprofile sys.settrace threading.setprofile threading.settrace
    timeit.Timer timeit.repeat timeit.timeit types.CodeType types.FunctionType types.ModuleType
    types.new_class typing.ForwardRef typing._eval_type typing.get_type_hints unittest.mock.patch
    unittest.mock.patch.dict unittest.mock.patch.multiple unittest.mock.patch.object
    string.Formatter warnings.warn_explicit
    """.split()
)
"""Members of these modules that interpret their arguments."""

_TAKES_FUNCTIONS = frozenset("timeit.Timer timeit.repeat timeit.timeit multiprocessing.Process".split())
_TAKES_A_TARGET = frozenset(
    "unittest.mock.patch unittest.mock.patch.dict unittest.mock.patch.multiple "
    "unittest.mock.patch.object".split()
)
_BUILTINS = frozenset("__import__ compile eval exec".split()) - {
    name.removeprefix("builtins.") for name in DIVERTED
}
_CONSTANTS_SUFFICE = frozenset("importlib.import_module importlib.util.find_spec".split())
_BY_NAME = frozenset("delattr getattr setattr".split())
_GIVES_METHODS = frozenset({"getattr", "methodcaller", "attrgetter"})
_TEMPLATES = frozenset({"format", "format_map"})


class InterpretingCalls:
    """Search for such calls in one walk over the syntax tree of a test.

    Args:
        imported: names that the test has imported so far, with their module or ``module.member``.
    """

    def __init__(self, imported: Mapping[str, str]) -> None:
        self._imported = imported
        self._members = ""  # first such member of a library
        self._builtins: set[str] = set()  # names of such builtins, unless the test defines them
        self._checked: set[int] = set()  # ids of functions whose call takes constants only

    def caveat(self, bound: Container[str]) -> str:
        """Sentence about such a call, after the walk; empty if there is none.

        Args:
            bound: names that the test defines at its top level.
        """
        found = [self._members] if self._members else []
        found += sorted(name for name in self._builtins if name not in bound)
        return f"The test may pass what it got to {found[0]}." if found else ""

    def note_import(self, module: str) -> None:
        """Note ``from module import *``."""
        if module.partition(".")[0] not in _MODULES:
            self._members = self._members or module

    def note_name(self, node: ast.Name) -> None:
        """Note the use of a name."""
        path = self._imported.get(node.id)
        if id(node) in self._checked:
            return
        if path is None:
            if node.id in _BUILTINS:
                self._builtins.add(node.id)
        elif _interprets(path):
            self._members = self._members or path

    def note_attribute(self, node: ast.Attribute) -> None:
        """Note the use of an attribute."""
        if id(node) not in self._checked and (path := self._path(node)) and _interprets(path):
            self._members = self._members or path

    def note_call(self, node: ast.Call) -> None:
        """Note a call, before its function is noted."""
        function = node.func
        self._note_template(node)
        match function:
            case ast.Name(id=name):
                path = self._imported.get(name, name)
                if name in _BY_NAME:
                    self._note_by_name(node.args)
            case ast.Attribute():
                path = self._path(function)
            case _:
                return
        if (path in _BUILTINS or _interprets(path)) and _is_harmless(path, node):
            part: ast.expr = function
            self._checked.add(id(part))
            while isinstance(part, ast.Attribute):
                part = part.value
                self._checked.add(id(part))

    def _note_by_name(self, arguments: list[ast.expr]) -> None:
        """Note an attribute of a library object by a name that is no literal."""
        match arguments:
            case [ast.Name(id=base), name, *_] if base in self._imported and not _is_constant(name):
                self._members = self._members or f"getattr of {self._imported[base]}"

    def _note_template(self, node: ast.Call) -> None:
        """Note templates that the marks of a running test do not see."""
        match node.func:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                path = self._path(node.func) or self._imported.get(name, name)
            case _:
                return
        arguments = [*node.args, *(word.value for word in node.keywords)]
        texts = {part.value for part in arguments if isinstance(part, ast.Constant)} & {*_TEMPLATES, "{"}
        if (name in _GIVES_METHODS and texts - {"{"}) or (
            path.startswith("logging.") and "{" in texts and not all(map(_is_constant, arguments))
        ):
            self._members = self._members or "str.format"

    def _path(self, node: ast.expr) -> str:
        """Module and members that an expression names; empty if it names none."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self._imported:
            return ""
        return ".".join([self._imported[node.id], *reversed(parts)])


def _interprets(path: str) -> bool:
    """Return whether a member of a library may interpret its arguments."""
    module, _, rest = path.partition(".")
    if not rest or path in DIVERTED:
        return False
    return (
        module not in _MODULES
        or path in _INTERPRETING
        or f"{module}.{rest.partition('.')[0]}" in _INTERPRETING
    )


def _is_harmless(path: str, node: ast.Call) -> bool:
    """Return whether a call of such a member interprets constants of the test only."""
    if path == "unittest.mock.patch":
        return all(map(_is_constant, node.args[:1]))
    if path in _TAKES_A_TARGET:
        return path == "unittest.mock.patch.dict" or all(map(_is_constant, node.args[1:2]))
    if path == "string.Formatter" or (
        path not in _CONSTANTS_SUFFICE and path.partition(".")[0] not in {*_MODULES, *_BUILTINS}
    ):
        return False  # it may make an object whose methods interpret data
    if path in _TAKES_FUNCTIONS:
        texts = node.args[:2] + [word.value for word in node.keywords if word.arg in {"stmt", "setup"}]
        return all(isinstance(text, ast.Lambda) or _is_constant(text) for text in texts)
    return all(map(_is_constant, [*node.args, *(word.value for word in node.keywords)]))


def _is_constant(node: ast.expr) -> bool:
    """Return whether an expression consists of literals only."""
    match node:
        case ast.Constant():
            return True
        case ast.BinOp(left=left, right=right):
            return _is_constant(left) and _is_constant(right)
        case (
            ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts) | ast.JoinedStr(values=parts)
        ):
            return all(map(_is_constant, parts))
        case ast.Dict(keys=keys, values=values):
            return all(part is not None and _is_constant(part) for part in [*keys, *values])
        case ast.UnaryOp(operand=operand):
            return _is_constant(operand)
    return False
