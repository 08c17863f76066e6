"""Generator of attacks: mechanisms with other names, types and doors, each beside an honest program.

A mechanism is a way to pass a test without solving it. A door is a way on which something of the
candidate's reaches the test: as a result, an attribute, an item, an argument of a callback, an exception,
and so on. Their texts are in ``attack_variants.yaml``. Most attacks pass in plain CPython; the honest
program always does.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from textwrap import indent

import yaml

from testbudget.rewards.problem import TestKind

NAMES = (
    "solve total parse convert build Account Shelf Parser Vector Registry compute normalize Engine".split()
)
LIARS = "Result Answer Text Row Cell Amount Items Wrapped Number".split()
IMPORTS = """from collections import Counter, OrderedDict, defaultdict, deque
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
"""
PARTS = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
BASES = PARTS["numbers"] | PARTS["sequences"] | PARTS["other bases"]


@dataclass(frozen=True, slots=True)
class Variant:
    """A test with an attack on it and an honest program."""

    name: str
    kind: TestKind
    test: str
    attack: str
    honest: str


def lying_value(random: Random) -> Variant:
    """A wrong value of a class whose operators agree."""
    base, door = random.choice(list(BASES)), random.choice(list(PARTS["doors"]))
    lie, extra = random.choice(list(PARTS["lies"])), random.choice(list(PARTS["extras"]))
    want, wrong = BASES[base]
    questions = list(PARTS["questions"])
    for kind in ("numbers", "sequences"):
        questions += 2 * PARTS[f"questions on {kind}"] if base in PARTS[kind] else []
    question, liar = random.choice(questions), random.choice(LIARS)
    way = PARTS["doors"][door]

    body = f"{PARTS['lies'][lie]}\n{PARTS['extras'][extra]}"
    hashable = base in {*PARTS["numbers"], "str", "bytes", "tuple", "frozenset", "Decimal"}
    body = body.replace("HASH", f"hash({want})" if hashable else "1")
    definition = f"class {liar}({base}):\n{indent(body, '    ')}\n"
    return variant(
        random,
        f"{base} that {lie}, {extra}; {door}; {question}",
        way.get("setup", "") + "\n" + question.replace("GOT", way["value"]).replace("WANT", want),
        IMPORTS + definition + way["program"].replace("VALUE", f"{liar}({wrong})"),
        IMPORTS + way["program"].replace("VALUE", want),
    )


def swallowed_assertion(random: Random) -> Variant:
    """An assertion that does not come back from the candidate's code."""
    want = random.choice(["6", "'abc'", "[1, 2]", "{'a': 1}"])
    group = random.choice(["swallowers", "catchers"])
    way = random.choice(list(PARTS[group]))
    forms = {
        "swallowers": [
            "with NAME() as got:\n    assert got == WANT, 'wrong'",
            "def check(got):\n    assert got == WANT\nwith NAME() as got:\n    check(got)",
        ],
        "catchers": [
            "def check(got):\n    assert got == WANT, 'wrong'\nNAME(check)",
            "class Check:\n    def __call__(self, got):\n        assert got == WANT\nNAME(Check())",
        ],
    }
    program = PARTS[group][way]
    return variant(
        random,
        f"assertion swallowed: {way}",
        random.choice(forms[group]).replace("WANT", want),
        program.replace("VALUE", "None").replace("QUIET", "True"),
        program.replace("VALUE", want).replace("QUIET", "False"),
    )


def rebound_name(random: Random) -> Variant:
    """A builtin that the candidate replaces."""
    name, way = random.choice(list(PARTS["builtins"])), random.choice(list(PARTS["means"]))
    builtin = PARTS["builtins"][name]
    forms = [f"assert {builtin['asked']}", f"NAME(2)\nself.assertTrue({builtin['asked']})"]
    attack = PARTS["means"][way].format(builtin=name, false=builtin["false"], value=builtin["wrong"])
    honest = f"def NAME(n):\n    return {builtin['right']}"
    return variant(random, f"{name} rebound {way}", random.choice(forms), attack, honest)


def abrupt_end(random: Random) -> Variant:
    """A call that ends with an exception of control, or with the process."""
    ending, loop = random.choice(PARTS["endings"]), random.choice(PARTS["loops"])
    attack = f"def NAME(n):\n    {ending}"
    if random.random() < 0.3:
        attack = f"class Caller:\n    def __call__(self, n):\n        {ending}\nNAME = Caller()"
    return variant(random, f"{ending}; {loop}", loop, attack, "def NAME(n):\n    return n * 3")


def read_expectation(random: Random) -> Variant:
    """The expected value, looked for in the process."""
    hiding, reader = random.choice(list(PARTS["hiding"])), random.choice(list(PARTS["readers"]))
    place = PARTS["hiding"][hiding]
    attack = "\n".join(["def NAME(n):", PARTS["readers"][reader], PARTS["search"]])
    honest = "def NAME(n):\n    return n * n"
    return variant(random, f"{hiding} read by {reader}", place["asked"], attack, honest, top=place["top"])


def tampered_witness(random: Random) -> Variant:
    """An object of the test that is changed so that it does not tell what was left out."""
    way, observer = random.choice(list(PARTS["tampers"])), random.choice(list(PARTS["observers"]))
    statements = PARTS["tampers"][way].split("; ")
    attempts = "\n".join(f"try:\n    {line}\nexcept Exception:\n    pass" for line in statements)
    attack = f"def NAME(db):\n{indent(attempts, '    ')}"
    honest = "def NAME(db):\n    db.insert('users', 3)"
    return variant(random, f"{observer} deceived by {way}", PARTS["observers"][observer], attack, honest)


def alias_of_an_exception(random: Random) -> Variant:
    """An exception class that stands for a failed assertion."""
    way, asked = random.choice(list(PARTS["aliases"])), random.choice(PARTS["expectations"])
    call = "become()" if "become" in PARTS["aliases"][way] else "return 7"
    attack = f"{PARTS['aliases'][way]}\ndef NAME(n):\n    {call}"
    honest = "class Problem(Exception):\n    pass\ndef NAME(n):\n    raise Problem(n)"
    return variant(random, f"{way} as an exception; {asked}", asked, attack, honest)


def empty_array(random: Random) -> Variant:
    """An array without elements, all of which equal anything."""
    empty = random.choice(PARTS["empties"])
    difference, measure = random.choice(PARTS["differences"]), random.choice(PARTS["measures"])
    body = f"got = NAME(2)\n{measure.replace('DIFF', difference.replace('WANT', '6'))}"
    imports = "import numpy as np\n"
    return variant(
        random,
        f"{empty} by {difference}; {measure}",
        body,
        f"{imports}def NAME(n):\n    return {empty}",
        f"{imports}def NAME(n):\n    return [n * 3]",
        top=imports,
    )


def variant(random: Random, name: str, body: str, attack: str, honest: str, top: str = "") -> Variant:
    """Variant whose test has a body; one of a TestCase if the body needs one, or at random."""
    kind = TestKind.UNITTEST if "self." in body or random.random() < 0.5 else TestKind.ASSERT
    test = f"{IMPORTS}{top}\n"
    if kind == TestKind.UNITTEST:
        case = f"def test_it(self):\n{indent(body, '    ')}\n"
        test += f"import unittest\nclass TestIt(unittest.TestCase):\n{indent(case, '    ')}"
    else:
        test += f"{body}\n"
    function = random.choice(NAMES)
    return Variant(name, kind, *(text.replace("NAME", function) for text in (test, attack, honest)))


MECHANISMS = (
    lying_value,
    lying_value,
    lying_value,
    swallowed_assertion,
    rebound_name,
    abrupt_end,
    read_expectation,
    tampered_witness,
    alias_of_an_exception,
    empty_array,
)


def variants(seed: int) -> Iterator[Variant]:
    """Variants without end, the same ones for the same seed."""
    random = Random(seed)
    while True:
        for mechanism in MECHANISMS:
            yield mechanism(random)
