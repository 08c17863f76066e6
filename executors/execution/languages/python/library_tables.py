"""Tables of library modules and their members, as tests and candidates may use them."""

PLAIN_MODULES = frozenset(
    "__future__ abc array base64 binascii bisect cmath collections copy dataclasses datetime "
    "decimal difflib enum fractions functools hashlib heapq html itertools json math numbers "
    "numpy operator parameterized pprint pytest random re statistics string struct sys textwrap "
    "typing unicodedata unittest zlib".split()
)
"""Modules that behave the same in any process; a test that imports them may exchange plain data only."""

STATELESS_MODULES = PLAIN_MODULES | frozenset(
    "ast collections.abc contextlib csv graphlib io keyword queue secrets time types weakref "
    "zoneinfo".split()
)
"""Modules without state that a program usually changes."""

PLAIN_MEMBERS = {
    "sys": frozenset(
        "maxsize maxunicode float_info int_info version version_info byteorder platform exit".split()
    ),
    "decimal": frozenset(
        "Decimal ROUND_HALF_UP ROUND_HALF_EVEN ROUND_HALF_DOWN ROUND_UP ROUND_DOWN ROUND_CEILING "
        "ROUND_FLOOR DecimalException InvalidOperation DivisionByZero Overflow Inexact".split()
    ),
    "random": frozenset(
        "Random betavariate choice choices expovariate gauss getrandbits normalvariate randbytes "
        "randint random randrange sample shuffle triangular uniform".split()
    ),
}
"""Members of modules with state that do not set it; what is not listed may set it."""

STATEFUL_MEMBERS = {
    "numpy": frozenset(
        "random set_printoptions seterr seterrcall setbufsize errstate printoptions "
        "testing.suppress_warnings load save lib core ctypeslib memmap".split()
    ),
    "unittest": frozenset("mock IsolatedAsyncioTestCase async_case".split()),
    "pytest": frozenset("warns MonkeyPatch".split()),
    "copy": frozenset(["copyreg"]),
}
"""Members of other modules that set state, or that look at more than their arguments."""

STATEFUL_METHODS = frozenset(
    "assertWarns assertWarnsRegex assertLogs assertNoLogs seed setstate stdin stdout stderr "
    "modules setrecursionlimit set_int_max_str_digits setcontext getcontext localcontext environ "
    "now today utcnow obj".split()
)
"""Attributes that set state of the interpreter, or look at it, whatever they are attributes of."""

PLAIN_DUNDERS = frozenset(
    "__init__ __name__ __len__ __class__ __iter__ __next__ __contains__ __getitem__ __add__ "
    "__eq__ __str__ __repr__ __call__ __enter__ __exit__ __setitem__ __hash__".split()
)
"""Attributes with double underscores that do not lead beyond an object and its class."""

STATEFUL_NAMES = frozenset(
    "open input exec eval globals locals vars compile __import__ breakpoint id __builtins__ "
    "setattr delattr help memoryview".split()
)
"""Builtins through which a test may reach state that it would share with the candidate."""

_FORGOTTEN = (
    "bisect cmath collections copy datetime decimal fractions functools heapq itertools json math numpy "
    "operator os random re statistics string sys textwrap time typing unittest"
).split()

FORGOTTEN_IMPORTS = {**{name: name for name in _FORGOTTEN}, "np": "numpy"}
"""Modules that tests use without importing them, by the name that they use."""

FORGOTTEN_NAMES = frozenset(
    "Counter OrderedDict defaultdict deque namedtuple ChainMap sqrt ceil floor gcd lcm isclose "
    "isnan isinf pi inf reduce partial lru_cache permutations combinations product accumulate "
    "chain groupby Decimal Fraction datetime date timedelta deepcopy heapify heappush heappop "
    "bisect_left bisect_right array mean median allclose array_equal patch Mock MagicMock "
    "StringIO BytesIO Path approx raises assert_allclose assert_almost_equal assert_approx_equal "
    "assert_array_almost_equal assert_array_equal assert_equal isfinite fsum isqrt nan tau islice "
    "takewhile dropwhile zip_longest starmap filterfalse combinations_with_replacement cmp_to_key "
    "nlargest nsmallest heapreplace heappushpop array_equiv asarray itemgetter attrgetter methodcaller "
    "getsource isclass isfunction ismethod iscoroutinefunction is_dataclass asdict astuple TestCase "
    "SimpleNamespace AsyncMock PropertyMock create_autospec".split()
)
"""Names of libraries that tests use without importing them. A candidate may give them another meaning."""
