"""Programs that are side-effect free, and programs that are not."""

from textwrap import dedent

import pytest

from testbudget.executors.execution.languages.python.programs import compile_program
from testbudget.executors.execution.languages.python.static_analysis import is_side_effect_free

SIDE_EFFECT_FREE = {
    "a function": "def f(x): return x + 1",
    "imports": """
        import math, sys
        import collections
        from typing import List, Optional
        from collections import Counter, defaultdict
        from functools import lru_cache, reduce
        sys.setrecursionlimit(10**6)
        @lru_cache(maxsize=None)
        def f(x: List[int]) -> Optional[int]:
            seen = defaultdict(list)
            return Counter(x).most_common(1)[0][0] + math.gcd(*x) + collections.Counter(x)[1] + sys.maxsize
        """,
    "a class": """
        class Node:
            def __init__(self, value, next=None): self.value, self.next = value, next
            def __eq__(self, other): return isinstance(other, Node) and self.value == other.value
            def __repr__(self): return f"Node({self.value})"
        def f():
            head = Node(1); head.next = Node(2); head.next.value = 3
            return head
        """,
    "a subclass": "class Stack(list):\n    def __init__(self): super().__init__()\n",
    "a namedtuple": "from collections import namedtuple\nP = namedtuple('P', 'x y')\n",
    "an exception": """
        class E(ValueError): pass
        def f():
            try: raise E('x')
            except E as e: return str(e)
        """,
    "a script": "def f(): pass\nif __name__ == '__main__':\n    print(f())",
    "types compared": "def f(x): return type(x) == int or isinstance(x, str)",
    "a formatted constant": "def f(x): return '{} and {}'.format(x, x)",
    "a function handed on": "import math\ndef f(x): return max(x, key=math.fabs)",
    "a generator": "def f():\n    for i in range(3): yield i",
    "names that it does not define": "def f(n): return is_prime(n) and math.sqrt(n)",
    "flags of the library": "import re\ndef f(x): return re.sub('a', 'b', x, flags=re.IGNORECASE)",
    "all names of a module": """
        from typing import *
        from math import *
        def f(x: List[int]): return gcd(*x)
        """,
    "aliases of types": "from typing import List\nRow = List[int]\ndef f(x: Row) -> List[Row]: return [x]",
    "operators by another name": """
        class Vector:
            def __mul__(self, factor): return self
            __rmul__ = __mul__
            __hash__ = None
        """,
    "an attribute by a constant name": (
        "def f(x): return getattr(x, 'size', 0) if hasattr(x, '__len__') else 1"
    ),
    "the name of a class": """
        class A:
            def __repr__(self): return type(self).__name__ + self.__class__.__name__
        """,
    "classes compared": """
        class A:
            def __eq__(self, other): return type(self) == type(other) and self.__dict__ == other.__dict__
        """,
    "an object like itself": "class A:\n    def copy(self): return type(self)(self.x, self.y)",
    "patterns": """
        class A: pass
        def f(x):
            match x:
                case A(size=n) | [n, *_]: return n
                case {"n": n, **rest}: return n, rest
        """,
    "a context manager": """
        from contextlib import contextmanager, suppress
        @contextmanager
        def f(x):
            with suppress(KeyError): yield x
        """,
    "a decorator": """
        import functools
        def twice(function):
            @functools.wraps(function)
            def twice(*arguments): return function(*arguments), function(*arguments)
            return twice
        """,
    "coroutines": """
        import asyncio
        async def f(x): await asyncio.sleep(0); return x
        async def g(x): return await asyncio.gather(*map(f, x))
        def h(x): return asyncio.run(g(x))
        """,
    "output": "import sys\ndef f(x): print(x, file=sys.stderr); sys.stdout.write(x)",
    "files": "def f(path):\n    with open(path) as file: return file.read()",
    "what is in the environment": """
        import os
        def f(x): return os.environ['X'] + os.environ.get('Y', os.path.join(x))
        """,
    "warnings": "import warnings\ndef f(): warnings.warn('old', DeprecationWarning, stacklevel=2)",
    "a log": "import logging\nlog = logging.getLogger(__name__)\ndef f(): log.warning('x')",
    "decimals": """
        from decimal import Decimal, ROUND_HALF_UP
        def f(x): return Decimal(x).quantize(1, ROUND_HALF_UP)
        """,
    "an enumeration": """
        from enum import Enum, auto
        class Color(Enum):
            RED = auto()
        def f(): return Color(1)
        """,
    "a dataclass": """
        from dataclasses import dataclass, field
        @dataclass(order=True)
        class A:
            x: int = 0
            parts: list = field(default_factory=list)
        """,
    "its own registers": """
        class A:
            def f(self, x): self.register(x)
            def register(self, x): self.x = x
        """,
    "its docstring speaks of __init__": "def f():\n    '''See __init__.'''",
}

WITH_SIDE_EFFECTS = {
    "frames": "import sys\ndef f(): return sys._getframe(1)",
    "frames of a generator": "def f(): g = (i for i in ()); return g.gi_frame",
    "frames of an exception": "def f():\n    try: 1 / 0\n    except Exception as e: return e.__traceback__",
    "the collector": "import gc",
    "the tests": "import unittest",
    "the modules": "import sys\ndef f(): return sys.modules",
    "builtins": "import builtins",
    "builtins by name": "__builtins__['len'] = None",
    "a module by its name": "__import__('gc')",
    "a module in a module": "import typing\ndef f(): return typing.sys",
    "a module from a module": "from typing import sys",
    "a private part of a module": "import random\nrandom._os",
    "a module handed on": "import math\nm = math\nm.pi = 3",
    "a module changed": "import math\nmath.pi = 3",
    "a module's class changed": "import collections\ncollections.Counter.update = None",
    "a module's class handed on": "import collections\nC = collections.Counter\nC.update = None",
    "an imported class handed on": "from collections import Counter\nC = Counter\nC.update = None",
    "an imported class in an argument": "from collections import Counter\ndef f(c): c.x = 1\nf(Counter)",
    "a class by type": "from collections import Counter\nC = type(Counter())\nC.update = None",
    "an attribute by a computed name": "def f(x): return getattr(x, '_' * 2 + 'class' + '_' * 2)",
    "setattr": "def f(x): setattr(x, 'a', 1)",
    "globals": "globals()['f'] = 1",
    "eval": "eval('1')",
    "a made class": "C = type('C', (int,), {})",
    "the class of an object": "def f(x): return x.__class__",
    "subclasses": "def f(): return ().__class__.__base__.__subclasses__()",
    "the code of a function": "def f(): f.__code__ = None",
    "the globals of a function": "def f(): return f.__globals__",
    "a look through formatting": "def f(x): return ('{0.__' + 'class__}').format(x)",
    "a metaclass": "class M(type): pass\nclass C(metaclass=M): pass",
    "a hook on attributes": "class C:\n    def __getattribute__(self, name): return 1",
    "a hook on subclasses": "class C:\n    def __init_subclass__(cls): pass",
    "signals": "import signal",
    "registering": "from collections.abc import Sequence\nclass C: pass\nSequence.register(C)",
    "decimal's context": "import decimal\ndecimal.getcontext().prec = 3",
    "all names of another module": "from os import *",
    "attributes set on what the test replaced": "def f(): print.side_effect = None",
    "attributes set on a builtin": "def f(): print.anything = None",
    "a mock's own methods": "def f(mock): mock.reset_mock()",
    "a mock's assertions": "def f(mock): mock.assert_called_with = None",
    "a formatter": "import string\ndef f(x): return string.Formatter().get_field('0', (x,), {})",
    "a formatter by name": "from string import Formatter",
    "look-ups in a constant text": "def f(x): return '{0.__traceback__.tb_frame}'.format(x)",
    "look-ups in a format's own fields": "def f(x, y): return '{:{0[x]}}'.format(x, y)",
    "names to be updated by a wrapper": """
        from functools import wraps
        def f(x, y): wraps(x, updated=('a',))(y)
        """,
    "a wrapper handed on": """
        from functools import wraps, partial
        def f(): return partial(wraps, updated=())
        """,
    "updating a wrapper": "import functools\ndef f(x, y): functools.update_wrapper(x, y)",
    "dispatching by annotations": "import functools\n@functools.singledispatch\ndef f(x): pass",
    "an enumeration made global": "import enum\nenum.global_enum(None)",
    "a class made by a metaclass": "from abc import ABCMeta\nC = ABCMeta('C', (), {'__e' + 'q__': max})",
    "a class made by the class of a class": "class A: pass\nC = type(A)('C', (), {'__e' + 'q__': max})",
    "a class made by way of typing": "from typing import Type\nC = Type[int]('C', (), {})",
    "a class made by way of an alias": "C = type[int]('C', (), {})",
    "a metaclass by way of an alias": "M = type[int]\nclass C(M): pass",
    "the class of a class asked for a class": "def f(x): return x.__class__(x)",
    "types handed on and changed": "def f(x): return type(x)\ndef g(c): c.update = None",
    "types handed to an own comparison": """
        class A:
            def __eq__(self, other): return other
        a = A()
        def f(x): return a == type(x)
        """,
    "a class changed by way of an alias": "from typing import Sequence\nS = Sequence[int]\nS.count = None",
    "a class changed by way of an object": "class A:\n    def f(self): self.__class__.x = 1",
    "a module's name taken for another": "import math as __builtins__",
    "a builtin taken for another": "try: raise KeyError\nexcept KeyError as __builtins__: pass",
    "a pattern that binds builtins": "match {}:\n    case __builtins__: pass",
    "the module's name": "__name__ = 'unittest'",
    "a module in two roles": "import math\ndef f(math): math.pi = 3",
    "a module as an argument": "import math\ndef f(m): m.pi = 3\nf(math)",
    "the whole environment": "import os\ndef f(): e = os.environ; e['X'] = '1'",
    "the environment changed": "import os\nos.environ['X'] = '1'",
    "a module of os": "import os\ndef f(): return os.path.genericpath",
    "unbuffered files": "def f(): return open('x', 'rb').raw",
    "open handed on": "def f(): return map(open, 'x')",
    "a stream handed on": "import sys\ndef f(): g(sys.stdout)",
    "a stream given to its own print": "import sys\ndef print(file): file.x = 1\nprint(file=sys.stderr)",
    "isinstance of its own": """
        from collections import Counter
        def isinstance(x, y): y.x = 1
        isinstance(1, Counter)
        """,
    "the stack of a task": "import asyncio\nasync def f(): return asyncio.create_task(g()).get_stack()",
    "the loop of a lock": "import asyncio\nasync def f(): return asyncio.Lock()._loop",
    "handlers of logs": "import logging\nlogging.getLogger().addHandler(None)",
    "numbers that count as sequences": "from abc import ABC\nclass A(ABC): pass\nA.register(int)",
    "an enumeration's computed constructor": "class A:\n    def __getattr__(self, name): return 1",
    "a relative import": "from . import x",
    "patterns that read attributes": "def f(x):\n    match x:\n        case object(__class__=c): return c",
}


def side_effect_free(text):
    return is_side_effect_free(dedent(text), compile_program(dedent(text)))


@pytest.mark.parametrize("text", SIDE_EFFECT_FREE.values(), ids=SIDE_EFFECT_FREE)
def test_an_ordinary_program_is_side_effect_free(text):
    assert side_effect_free(text)


@pytest.mark.parametrize("text", WITH_SIDE_EFFECTS.values(), ids=WITH_SIDE_EFFECTS)
def test_a_program_that_could_change_other_objects_is_not_side_effect_free(text):
    assert not side_effect_free(text)
