"""Library functions that a test calls with objects of the candidate, which live elsewhere."""

import collections
import copy
import dataclasses
import inspect
import io
import logging
import pickle
import sys
import types
import typing
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest

from testbudget.executors.execution.languages.python.objects.library_calls import DIVERTED, LibraryCalls
from testbudget.executors.execution.languages.python.objects.library_functions import (
    describe_signature,
    library_function,
)

PROGRAM = """
import dataclasses, functools

@dataclasses.dataclass
class Item:
    name: str
    tags: list = dataclasses.field(default_factory=list)

def helper(x: int, /, y=2, *rest, flag: bool = False, **more) -> str:
    'Help.'
    return x

@functools.wraps(helper)
def wrapped(*arguments): return helper(*arguments)

async def later(): pass
def numbers(): yield 1
"""


CODE = compile("def test():\n    for text in ('1 + one', 'x'): eval(text)", "<test>", "exec")


class _Proxy:
    """Object of another process, as far as these tests need one."""

    def __init__(self, value: Any) -> None:
        vars(self)["value"] = value


def _found(item: Any) -> Any:
    if type(item) is dict:
        return {key: _found(value) for key, value in item.items()}
    return item.value if type(item) is _Proxy else item


class _Peer:
    """Peer whose other process is this one: it finds the objects behind proxies and makes proxies."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.doubts: list[str] = []
        self.losses: list[str] = []

    def number_of(self, proxy: object) -> int | None:
        return 1 if type(proxy) is _Proxy else None

    def library_call(self, name: str, arguments: Any, keywords: dict[str, Any]) -> Any:
        self.calls.append(name)
        there = [_found(item) for item in arguments]
        result = library_function(name)(*there, **keywords)
        return _Proxy(result) if type(result).__module__ == "solution" else result

    def doubt(self, sentence: str) -> None:
        self.doubts.append(sentence)

    def lose(self, sentence: str) -> None:
        self.losses.append(sentence)

    def broken(self, error: BaseException) -> NoReturn:
        raise SystemExit(str(error))


@pytest.fixture(name="program")
def _program() -> Iterator[Any]:
    module = types.ModuleType("solution")
    before = sys.modules.get("solution")
    sys.modules["solution"] = module
    exec(PROGRAM, vars(module))
    yield module
    if before is None:
        del sys.modules["solution"]
    else:
        sys.modules["solution"] = before


@pytest.fixture(name="peer")
def _peer() -> Iterator[_Peer]:
    peer = _Peer()
    before = {name: _member(name) for name in DIVERTED}
    with LibraryCalls(peer, globals(), CODE).diverted():
        yield peer
    assert {name: _member(name) for name in DIVERTED} == before


def _member(name: str) -> Any:
    module, _, member = name.rpartition(".")
    return getattr(sys.modules[module], member)


@pytest.mark.parametrize("name", sorted(DIVERTED - {"pickle.dump", "pickle.load"}))
def test_every_diverted_function_is_known_to_the_process_of_the_candidate(name: str) -> None:
    assert callable(library_function(name))


def test_functions_that_look_inside_are_called_where_the_object_is(peer: _Peer, program: Any) -> None:
    item = _Proxy(program.Item("a", ["b"]))
    assert dataclasses.asdict(item) == {"name": "a", "tags": ["b"]}  # type: ignore[call-overload]
    assert dataclasses.astuple(item) == ("a", ["b"])  # type: ignore[call-overload]
    changed: Any = dataclasses.replace(item, name="c")  # type: ignore[type-var]
    assert changed.value == program.Item("c", ["b"])
    assert [field.name for field in dataclasses.fields(_Proxy(program.Item))] == ["name", "tags"]  # type: ignore[arg-type]
    assert typing.get_type_hints(_Proxy(program.Item))["name"] is str
    assert inspect.getdoc(_Proxy(program.helper)) == "Help."
    assert inspect.iscoroutinefunction(_Proxy(program.later))
    assert inspect.isgeneratorfunction(_Proxy(program.numbers))
    assert sys.getsizeof(item) > 0
    names = [name for name, _ in inspect.getmembers(_Proxy(program.Item), inspect.isfunction)]
    assert "__init__" in names
    assert "__module__" not in names


def test_a_signature_is_an_own_one_with_the_parameters_of_the_function(peer: _Peer, program: Any) -> None:
    signature = inspect.signature(_Proxy(program.helper))  # type: ignore[arg-type]
    assert str(signature) == "(x: int, /, y=2, *rest, flag: bool = False, **more) -> str"
    assert signature.parameters["x"].default is inspect.Parameter.empty
    assert str(inspect.signature(_Proxy(program.wrapped))) == str(signature)  # type: ignore[arg-type]
    assert peer.calls == ["inspect.signature"] * 2


@pytest.mark.parametrize(
    "described",
    [
        3,
        (),
        ((("x", 1, (), ()),), (), ()),
        ((("x y", 1, (), ()),), ()),
        ((("x", 9, (), ()),), ()),
        (((3, 1, (), ()),), ()),
        ((("x", 1, 5, ()),), ()),
    ],
)
def test_what_describes_no_signature_ends_the_pair(
    monkeypatch: pytest.MonkeyPatch, program: Any, described: Any
) -> None:
    peer = _Peer()
    monkeypatch.setattr(peer, "library_call", lambda *_: described)
    with LibraryCalls(peer, {}, CODE).diverted(), pytest.raises(SystemExit):
        inspect.signature(_Proxy(program.helper))  # type: ignore[arg-type]


def test_objects_of_the_test_stay_with_the_judge(peer: _Peer) -> None:
    @dataclasses.dataclass
    class Own:
        a: int = 1

    def function(a: int) -> None:
        """Describe."""

    assert dataclasses.asdict(Own()) == {"a": 1}
    assert str(inspect.signature(function)) == "(a: int) -> None"
    assert inspect.getdoc(function) == "Describe."
    assert pickle.loads(pickle.dumps([1, {"a": (2, None)}])) == [1, {"a": (2, None)}]
    assert copy.deepcopy([Own()]) == [Own()]
    assert peer.calls == []


def test_a_logger_of_the_candidate_stands_for_the_one_with_its_name(peer: _Peer) -> None:
    theirs: Any = _Proxy(None)
    theirs.name = "app.core"
    assert logging.getLogger(theirs) is logging.getLogger("app.core")
    assert logging.getLogger() is logging.root
    assert peer.calls == []


def test_pickles_of_the_candidate_are_read_in_its_process(peer: _Peer, program: Any) -> None:
    data = pickle._dumps(program.Item("a"))  # type: ignore[attr-defined]
    found: Any = pickle.loads(data)
    assert found.value == program.Item("a")
    file = io.BytesIO()
    pickle.dump([1, 2], file)
    file.write(data)
    file.seek(0)
    assert pickle.load(file) == [1, 2]
    assert pickle.load(file).value == program.Item("a")
    with pytest.raises(ValueError, match="exhausted"):
        pickle.load(file)
    assert peer.calls == ["pickle.loads"] * 2
    with pytest.raises(AttributeError):
        pickle.loads(b"csolution\nOwn\n.")
    assert len(peer.losses) == 1


def test_a_text_of_unknown_origin_is_evaluated_in_the_process_of_the_candidate(
    peer: _Peer, program: Any
) -> None:
    one = 1
    assert eval("1 + one") == 2
    assert eval("1 + one", {"one": 5}) == 6
    assert eval(compile("one", "", "eval")) == one
    assert peer.calls == []
    found = eval("Item('a')")
    assert found.value == program.Item("a")
    assert peer.doubts == []
    assert eval("repr(found)" + " " * one) == "Item(name='a', tags=[])"
    assert list(map(eval, ["len(" + "'ab')"])) == [2]
    assert eval("repr(x)" + " " * one, {"x": found}) == "Item(name='a', tags=[])"
    assert len(peer.doubts) == 3
    with pytest.raises(NameError):
        eval("one + 1", globals(), locals())  # data of the test, which a candidate does not get
    assert len(peer.losses) == 1
    assert collections.namedtuple("Pair", "a b")(1, 2).b == 2  # which evaluates a text of its own
    assert len(peer.calls) == 5

    class Text(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            return True

    peer.calls.clear()
    eval(Text("repr(1)"))
    assert peer.calls == ["builtins.eval"]


def test_a_function_that_is_not_in_the_table_is_not_called() -> None:
    with pytest.raises(KeyError):
        library_function("os.system")
    assert describe_signature(len)[1] == ()
