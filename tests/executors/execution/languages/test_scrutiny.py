from textwrap import dedent

import pytest

from executors.execution.languages.python.reading import compiled
from executors.execution.languages.python.scrutiny import is_innocent

INNOCENT = {
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
    "an exception": "class E(ValueError): pass\ndef f():\n    try: raise E('x')\n    except E as e: return str(e)",
    "a script": "def f(): pass\nif __name__ == '__main__':\n    print(f())",
    "types compared": "def f(x): return type(x) == int or isinstance(x, str)",
    "a formatted constant": "def f(x): return '{} and {}'.format(x, x)",
    "a function handed on": "import math\ndef f(x): return max(x, key=math.fabs)",
    "a generator": "def f():\n    for i in range(3): yield i",
    "its docstring speaks of __init__": "def f():\n    '''See __init__.'''",
}

SUSPICIOUS = {
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
    "a special name in a text": "x = '__class__'",
    "a metaclass": "class M(type): pass\nclass C(metaclass=M): pass",
    "a hook on attributes": "class C:\n    def __getattribute__(self, name): return 1",
    "a hook on subclasses": "class C:\n    def __init_subclass__(cls): pass",
    "files": "open('x')",
    "signals": "import signal",
    "a name that it does not define": "def f(): TestSolve.test_answer = None",
    "registering": "from collections.abc import Sequence\nclass C: pass\nSequence.register(C)",
    "decimal's context": "import decimal\ndecimal.getcontext().prec = 3",
    "all names of another module": "from os import *",
    "a relative import": "from . import x",
    "patterns that read attributes": "def f(x):\n    match x:\n        case object(__class__=c): return c",
}


def innocent(text):
    return is_innocent(dedent(text), compiled(dedent(text)))


@pytest.mark.parametrize("text", INNOCENT.values(), ids=INNOCENT)
def test_an_ordinary_program_is_innocent(text):
    assert innocent(text)


@pytest.mark.parametrize("text", SUSPICIOUS.values(), ids=SUSPICIOUS)
def test_a_program_that_could_reach_further_is_not(text):
    assert not innocent(text)
