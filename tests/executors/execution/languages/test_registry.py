import pytest

from testbudget.executors.execution.languages.registry import BUILT_IN, language, language_place
from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import Runner
from testbudget.rewards.errors import SandboxError, UserError
from testbudget.rewards.problem import TestKind, UnitTest, Verdict

DIALECT = """
from testbudget.executors.execution.languages.python.language import Python
from {package}.words import translated

class Dialect(Python):
    def compile_sources(self, buffer, sources, entry_point):
        sources = [source._replace(text=translated(source.text)) for source in sources]
        super().compile_sources(buffer, sources, entry_point)
"""
WORDS = "def translated(text):\n    return text.replace('define', 'def')\n"
TESTS = [UnitTest("", 0, "assert double(3) == 6", kind=TestKind.ASSERT)]


def install_dialect(install_plugin, head="", **files):
    package = "acme_dialect"
    texts = {"__init__.py": "", "language.py": head + DIALECT.format(package=package), "words.py": WORDS}
    install_plugin(
        "acme",
        {"testbudget.languages": {"dialect": f"{package}.language:Dialect"}},
        {f"{package}/{name}": text for name, text in (texts | files).items()},
    )


def test_a_built_in_needs_no_search():
    assert [language(name) for name in BUILT_IN] == list(BUILT_IN.values())
    assert language_place("python") == {"name": "python"}


def test_a_language_of_another_distribution_runs_in_the_sandbox(install_plugin):
    install_dialect(install_plugin)
    programs = ["define double(x): return 2 * x", "define double(x): return x"]
    with Runner(language="dialect") as runner, Runner() as python:
        assert runner.layers == python.layers
        found = runner.run(programs, TESTS, "double").verdicts[:, 0].tolist()
    assert found == [Verdict.PASSED, Verdict.FAILED]


def test_candidates_do_not_find_what_lies_beside_the_language(install_plugin):
    secret = {"../acme_solutions.py": "def double(x): return 2 * x\n"}
    install_dialect(install_plugin, **secret)
    reads = "from acme_solutions import double"
    opens = (
        "def double(x):\n"
        "    import acme_dialect\n"
        "    place = acme_dialect.__file__.replace('acme_dialect/__init__', 'acme_solutions')\n"
        "    exec(open(place).read(), globals())\n"
        "    return globals()['double'](x)\n"
    )
    with Runner(language="dialect") as runner:
        if not {"mount", "landlock"} & set(runner.layers):
            pytest.skip("this machine hides no files")
        found = runner.run([reads, opens], TESTS, "double").verdicts[:, 0].tolist()
    assert Verdict.PASSED not in found


def test_a_language_may_import_no_other_package(install_plugin):
    install_dialect(install_plugin, head="import numpy\n")
    sentence = "dialect may import the standard library, testbudget and its own package but No module named"
    with pytest.raises(SandboxError, match=sentence):
        Runner(TestLimits(), language="dialect")


def test_an_unknown_language_is_refused_with_those_of_plugins(install_plugin):
    install_dialect(install_plugin)
    with pytest.raises(UserError, match=r"language must be one of .*dialect but got 'cobol'"):
        Runner(TestLimits(), language="cobol")
