"""Everyday programs whose tests exchange objects: each passes as in one process."""

from typing import Any

import pytest

from testbudget.rewards.problem import Verdict

CASES = {
    "descriptor in test class": (
        """
class Positive:
    def __set_name__(self, owner, name): self.name = '_' + name
    def __get__(self, obj, cls=None):
        if obj is None: return self
        return getattr(obj, self.name)
    def __set__(self, obj, v):
        if v < 0: raise ValueError(v)
        setattr(obj, self.name, v)
""",
        """import unittest
class T(unittest.TestCase):
    def test(self):
        class A:
            x = Positive()
        a = A()
        a.x = 3
        self.assertEqual(a.x, 3)
        with self.assertRaises(ValueError): a.x = -1
""",
        "unittest",
    ),
    "descriptor by dict": (
        """
class Positive:
    def __set_name__(self, owner, name): self.name = name
    def __get__(self, obj, cls=None):
        if obj is None: return self
        return obj.__dict__[self.name]
    def __set__(self, obj, v):
        if v < 0: raise ValueError(v)
        obj.__dict__[self.name] = v
""",
        """import unittest
class T(unittest.TestCase):
    def test(self):
        class A:
            x = Positive()
        a = A()
        a.x = 3
        self.assertEqual(a.x, 3)
        with self.assertRaises(ValueError): a.x = -1
""",
        "unittest",
    ),
    "init_subclass kw": (
        """
class Plugin:
    registry = {}
    def __init_subclass__(cls, name=None, **k): super().__init_subclass__(**k); Plugin.registry[name] = cls
""",
        """import unittest
class T(unittest.TestCase):
    def test(self):
        class Upper(Plugin, name='up'):
            def run(self, s): return s.upper()
        self.assertIs(Plugin.registry['up'], Upper)
        self.assertEqual(Plugin.registry['up']().run('a'), 'A')
""",
        "unittest",
    ),
    "weakset": (
        """
import weakref
class Subject:
    def __init__(self): self.obs = weakref.WeakSet()
    def attach(self, o): self.obs.add(o)
    def notify(self, v):
        for o in list(self.obs): o.update(v)
""",
        """import unittest
class T(unittest.TestCase):
    def test(self):
        import gc
        class O:
            def __init__(self): self.got = []
            def update(self, v): self.got.append(v)
        a, b = O(), O()
        s = Subject(); s.attach(a); s.attach(b)
        s.notify(1)
        self.assertEqual(a.got, [1])
        del b; gc.collect()
        self.assertEqual(len(s.obs), 1)
""",
        "unittest",
    ),
    "deep nesting": (
        """
def nest(n):
    x = []
    for _ in range(n): x = [x]
    return x
def depth(x):
    d = 0
    while x: x = x[0]; d += 1
    return d
class A: pass
""",
        """import unittest
class T(unittest.TestCase):
    def test(self):
        A()
        self.assertEqual(depth(nest(900)), 900)
""",
        "unittest",
    ),
    "abc": (
        """
from abc import ABC, abstractmethod
class Shape(ABC):
    @abstractmethod
    def area(self): ...
    def describe(self): return f'{type(self).__name__} {self.area()}'
class Sq(Shape):
    def __init__(self, a): self.a = a
    def area(self): return self.a ** 2
""",
        """import unittest
class T(unittest.TestCase):
    def test(self):
        with self.assertRaises(TypeError): Shape()
        self.assertEqual(Sq(2).describe(), 'Sq 4')
        self.assertTrue(issubclass(Sq, Shape))
        class C(Shape):
            def area(self): return 1
        self.assertEqual(C().describe(), 'C 1')
""",
        "unittest",
    ),
    "super eq": (
        """
class P:
    def __init__(self, x): self.x = x
    def __eq__(self, o): return self.x == o.x
    def __repr__(self): return f'P({self.x})'
""",
        """import unittest
class T(unittest.TestCase):
    def test(self):
        class Q(P):
            def __eq__(self, o): return super().__eq__(o)
            def __repr__(self): return 'Q' + super().__repr__()
        self.assertEqual(repr(Q(1)), 'QP(1)')
        self.assertTrue(Q(1).x == 1)
""",
        "unittest",
    ),
    "exception group attrs": (
        """
class E(Exception):
    def __init__(self, code, msg='m'): super().__init__(msg); self.code = code
def f():
    try: {}['k']
    except KeyError as e: raise E(7) from e
""",
        """import unittest
class T(unittest.TestCase):
    def test(self):
        with self.assertRaises(E) as c: f()
        self.assertEqual(c.exception.code, 7)
        self.assertIsInstance(c.exception.__cause__, KeyError)
        self.assertEqual(str(c.exception), 'm')
""",
        "unittest",
    ),
    "print": (
        """
def hello(n): print('hi', n)
class A: pass
""",
        """import unittest
class T(unittest.TestCase):
    def test(self):
        import io, contextlib
        b = io.StringIO()
        A()
        with contextlib.redirect_stdout(b): hello(3)
        self.assertEqual(b.getvalue(), 'hi 3\\n')
""",
        "unittest",
    ),
    "input": (
        """
def ask(): return int(input('n? ')) + 1
class A: pass
""",
        """import unittest
class T(unittest.TestCase):
    def test(self):
        from unittest.mock import patch
        A()
        with patch('builtins.input', return_value='4'): self.assertEqual(ask(), 5)
""",
        "unittest",
    ),
    "dict of objects": (
        """
class P:
    def __init__(self, x): self.x = x
    def __hash__(self): return hash(self.x)
    def __eq__(self, o): return isinstance(o, P) and self.x == o.x
def group(ps):
    d = {}
    for p in ps: d[p] = d.get(p, 0) + 1
    return d
""",
        """import unittest
class T(unittest.TestCase):
    def test(self):
        d = group([P(1), P(1), P(2)])
        self.assertEqual(d[P(1)], 2)
        self.assertEqual(d, {P(1): 2, P(2): 1})
        self.assertIn(P(2), d)
""",
        "unittest",
    ),
    "test object w dunder": (
        """
def total(xs):
    t = xs[0]
    for x in xs[1:]: t = t + x
    return t
class A: pass
""",
        """import unittest
class T(unittest.TestCase):
    def test(self):
        class N:
            def __init__(self, v): self.v = v
            def __add__(self, o): return N(self.v + o.v)
        A()
        self.assertEqual(total([N(1), N(2)]).v, 3)
""",
        "unittest",
    ),
    "TreeNode lacked": (
        """
def insert(root, v):
    if root is None: return TreeNode(v)
    if v < root.val: root.left = insert(root.left, v)
    else: root.right = insert(root.right, v)
    return root
class A: pass
""",
        """class TreeNode:
    def __init__(self, val=0, left=None, right=None):
        self.val, self.left, self.right = val, left, right
r = None
A()
for v in (2, 1, 3): r = insert(r, v)
assert (r.left.val, r.val, r.right.val) == (1, 2, 3)
""",
        "assert",
    ),
    "asyncio queue": (
        """
import asyncio
class Q:
    def __init__(self): self.q = asyncio.Queue()
    async def put(self, x): await self.q.put(x)
    async def get(self): return await self.q.get()
""",
        """import unittest
class T(unittest.TestCase):
    def test(self):
        import asyncio
        async def main():
            q = Q()
            await q.put(1)
            return await q.get()
        self.assertEqual(asyncio.run(main()), 1)
""",
        "unittest",
    ),
    "async ctx": (
        """
class R:
    async def __aenter__(self): self.o = True; return self
    async def __aexit__(self, *a): self.o = False
    async def __aiter__(self):
        for i in range(3): yield i
async def agen():
    for i in range(3): yield i
""",
        """import unittest
class T(unittest.IsolatedAsyncioTestCase):
    async def test(self):
        async with R() as r: self.assertTrue(r.o)
        self.assertFalse(r.o)
        self.assertEqual([x async for x in agen()], [0, 1, 2])
""",
        "unittest",
    ),
    "threads cand": (
        """
import threading
class C:
    def __init__(self): self.n = 0; self.l = threading.Lock()
    def inc(self):
        with self.l: self.n += 1
    def run(self, f):
        ts = [threading.Thread(target=f) for _ in range(5)]
        [t.start() for t in ts]; [t.join() for t in ts]
""",
        """import unittest
class T(unittest.TestCase):
    def test(self):
        c = C(); out = []
        c.run(lambda: out.append(1))
        self.assertEqual(len(out), 5)
        import threading
        ts = [threading.Thread(target=c.inc) for _ in range(5)]
        [t.start() for t in ts]; [t.join() for t in ts]
        self.assertEqual(c.n, 5)
""",
        "unittest",
    ),
    "ctx swallow": (
        """
class S:
    def __enter__(self): return self
    def __exit__(self, t, v, tb): return t is not None and issubclass(t, ValueError)
""",
        """import unittest
class T(unittest.TestCase):
    def test(self):
        with S():
            raise ValueError('x')
        with self.assertRaises(KeyError):
            with S(): raise KeyError
""",
        "unittest",
    ),
    "gen mutual": (
        """
def gen():
    try:
        while True: yield 1
    finally: pass
class A: pass
def fib():
    a, b = 0, 1
    while True: yield a; a, b = b, a + b
""",
        """import unittest
class T(unittest.TestCase):
    def test(self):
        import itertools
        A()
        self.assertEqual(list(itertools.islice(fib(), 6)), [0,1,1,2,3,5])
        g = fib(); next(g)
        self.assertEqual(next(g), 1)
""",
        "unittest",
    ),
    "dataclass eq order": (
        """
from dataclasses import dataclass
@dataclass(order=True)
class V:
    a: int
    b: str = 'x'
""",
        """import unittest
class T(unittest.TestCase):
    def test(self):
        self.assertEqual(V(1), V(1, 'x'))
        self.assertTrue(V(1) < V(2))
        self.assertEqual(sorted([V(2), V(1)])[0].a, 1)
        self.assertEqual(repr(V(1)), "V(a=1, b='x')")
        self.assertNotEqual(V(1), V(2))
""",
        "unittest",
    ),
    "stack eq": (
        """
class Stack:
    def __init__(self): self.i = []
    def push(self, x): self.i.append(x)
    def pop(self): return self.i.pop()
    def __eq__(self, o): return self.i == o.i
    def __len__(self): return len(self.i)
    def __contains__(self, x): return x in self.i
""",
        """import unittest
class T(unittest.TestCase):
    def test(self):
        a, b = Stack(), Stack()
        for x in (1, 2): a.push(x); b.push(x)
        self.assertEqual(a, b)
        self.assertIn(2, a)
        self.assertEqual(len(a), 2)
        a.pop()
        self.assertNotEqual(a, b)
""",
        "unittest",
    ),
    "vec add": (
        """
class V:
    def __init__(self, x, y): self.x, self.y = x, y
    def __add__(self, o): return V(self.x + o.x, self.y + o.y)
    def __mul__(self, k): return V(self.x * k, self.y * k)
    def __eq__(self, o): return isinstance(o, V) and (self.x, self.y) == (o.x, o.y)
""",
        """import unittest
class T(unittest.TestCase):
    def test(self):
        self.assertEqual(V(1,2) + V(3,4), V(4,6))
        self.assertEqual(V(1,2) * 3, V(3,6))
        self.assertEqual([V(1,1)], [V(1,1)])
""",
        "unittest",
    ),
    "getter bool": (
        """
class A:
    def __init__(self): self.items = {}
    def __getitem__(self, k): return self.items[k]
    def __setitem__(self, k, v): self.items[k] = v
    def __iter__(self): return iter(self.items)
    def __bool__(self): return bool(self.items)
""",
        """import unittest
class T(unittest.TestCase):
    def test(self):
        a = A()
        self.assertFalse(a)
        a['x'] = [1]
        a['x'].append(2)
        self.assertEqual(a['x'], [1, 2])
        self.assertEqual(list(a), ['x'])
        self.assertEqual(dict(a.items), {'x': [1, 2]})
        with self.assertRaises(KeyError): a['q']
""",
        "unittest",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_test_with_objects_passes(pairs: Any, name: str) -> None:
    judged = pairs.judge(*CASES[name])
    assert (judged.verdict, judged.sentence) == (Verdict.PASSED, "")
