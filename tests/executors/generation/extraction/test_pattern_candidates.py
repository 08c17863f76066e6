"""Candidates in languages whose programs are searched by pattern, in answers as models write them."""

import json
import shutil
import subprocess

import pytest

from testbudget.executors.generation.extraction.candidates import AnswerNote, ExtractionRule
from testbudget.executors.generation.extraction.extract import pattern_language
from testbudget.executors.generation.extraction.pattern_candidates import (
    PatternLanguage,
    read_pattern_candidate,
)

RIGHT = "function total(xs) {\n  return xs.reduce((a, b) => a + b, 0);\n}"
USES_ADD = "function total(xs) { return xs.reduce(add, 0) }"
PROMPT = "/** Sum of a list. */\nfunction total(xs) {\n"
CPP = PatternLanguage("cpp", ("cpp", "c++", "cc", ""))
JAVA = PatternLanguage("java", ("java", ""))


def read(text, entry_point="total", prompt=PROMPT, rule=ExtractionRule.LAST):
    return read_pattern_candidate(pattern_language("javascript"), entry_point, prompt, text, rule)


def printed(code, text=""):
    node = shutil.which("node") or "node"
    return subprocess.run([node, "-e", code], input=text, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        (f"```javascript\n{RIGHT}\n```", None),
        (f"```js\n{RIGHT}\n\nconsole.log(total([1, 2]));\n```", None),
        (f"```js\n{RIGHT}\nconsole.log(\n  total([1, 2]),\n)\nassert.equal(total([1]), 1)\n```", None),
        (f"```js\n{RIGHT}\n```\nUse it:\n```js\nconsole.log(total([1]));\n```", None),
        ("```js\nconst total = xs => xs.reduce((a, b) => a + b, 0);\n```", None),
        (
            "```js\nexports.total = total\nvar total = function (xs) { return eval(xs.join('+')) }\n```",
            None,
        ),
        (f"```bash\nnpm i\n```\n```python\ndef total(xs): return 0\n```\n```js\n{RIGHT}\n```", None),
        (
            f"```js\nconst add = (a, b) => a + b;\n```\n```js\n{USES_ADD}\n```",
            AnswerNote.OTHER_BLOCKS,
        ),
        (
            f"```js\n{USES_ADD}\n```\n```js\nfunction add(a, b) {{ return a + b }}\n```",
            AnswerNote.OTHER_BLOCKS,
        ),
        (
            "```js\nfunction total(xs) { return 0 }\n```\nNo:\n```js\n" + RIGHT + "\n```",
            AnswerNote.SEVERAL_PROGRAMS,
        ),
        (f"Here it is:\n\n{RIGHT}\n\nIt adds them up.", AnswerNote.WITHOUT_FENCE),
        ("```js\n  return xs.reduce((a, b) => a + b, 0);\n}\n```", AnswerNote.BODY_ALONE),
        (RIGHT.replace("=>", "=&gt;").join(("```js\n", "\n```")), None),
    ],
)
def test_the_function_is_found_and_runs(answer, note):
    reading = read(answer)
    assert reading.notes == (() if note is None else (note,))
    assert json.loads(printed(f"{reading.code}\nconsole.log(JSON.stringify(total([1, 2, 3])))")) == 6


@pytest.mark.parametrize(
    "answer", ["", "No.", "```js\nconsole.log(total([1]))\n```", "```python\ndef total(xs): pass\n```"]
)
def test_an_answer_without_the_function_holds_no_program(answer):
    reading = read(answer, prompt="Write total.")
    assert not reading.has_program
    with pytest.raises(subprocess.CalledProcessError):
        printed(reading.code)


def test_a_method_is_found_in_its_class():
    reading = read(
        "```js\nclass Solution {\n  total(xs) { return xs.length }\n}\n"
        "console.log(new Solution().total([]))\n```",
        "Solution.total",
        "",
    )
    assert printed(f"{reading.code}\nconsole.log(new Solution().total([]))") == "0\n"


@pytest.mark.parametrize(
    "answer",
    [
        "```js\nconst n = +require('fs').readFileSync(0, 'utf8');\nconsole.log(2 * n);\n```\n"
        "Input\n```\n4\n```",
        "```js\nfunction double(n) { return 2 * n }\n```\nand\n```js\n"
        "process.stdin.on('data', d => console.log(double(+d)))\n```\n```js\nconsole.log(double(1))\n```",
    ],
)
def test_the_whole_program_is_found(answer):
    reading = read(answer, None, "Double the number.")
    assert printed(reading.code, "4\n") == "8\n"


MAIN = "#include <iostream>\nint main() {\n  int n;\n  std::cin >> n;\n  std::cout << 2 * n;\n}"


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (f"```cpp\n{MAIN}\n```\nInput:\n```\n4\n```\nOutput:\n```\n8\n```", MAIN),
        (f"```python\nprint(1)\n```\n```c++\n{MAIN}\n```\nRun `g++ a.cpp`:\n```sh\n./a.out\n```", MAIN),
        (f"The program is\n{MAIN}\nand that is all.", MAIN),
        (f"```cpp\n{MAIN}\n```\nUse `twice`:\n```cpp\nint twice(int n) {{ return 2 * n; }}\n```", MAIN),
        (
            "```cpp\nint twice(int n) { return 2 * n; }\n```\n```cpp\nint main() { return twice(1); }\n```",
            "int twice(int n) { return 2 * n; }\n\nint main() { return twice(1); }",
        ),
        ("No program.", None),
        ("```cpp\nint twice(int n) { return 2 * n; }\n```", None),
    ],
)
def test_the_block_with_a_main_function_is_the_program(answer, wanted):
    reading = read_pattern_candidate(CPP, None, "", answer, ExtractionRule.LAST)
    assert (reading.code.strip() if reading.has_program else None) == wanted


def test_a_class_of_another_name_than_main_is_a_program_in_java():
    own = "class Twice {\n  public static void main(String[] a) { System.out.print(Two.of()); }\n}"
    answer = f"```java\nclass Two {{ static int of() {{ return 2; }} }}\n```\n```java\n{own}\n```"
    reading = read_pattern_candidate(JAVA, None, "", answer, ExtractionRule.LAST)
    assert own in reading.code
    assert "class Two" in reading.code


READER = "public class Twice {\n  static void main(String[] a) { System.in.read(); }\n}"


@pytest.mark.parametrize(
    ("language", "answer", "wanted"),
    [
        pytest.param(
            CPP,
            f"```\nfunction n(node):\n  n(child)\n```\n```cpp\n{MAIN}\n```",
            MAIN,
            id="words of pseudo-code define no name of C++",
        ),
        pytest.param(
            CPP,
            f"```\nstruct n holds (i, j)\nwhile (n) {{\n```\n```cpp\n{MAIN}\n```",
            MAIN,
            id="a type without a body is none",
        ),
        pytest.param(
            CPP,
            f"It is\n\n{MAIN}\n\nand reads n (once);\nno more (see above)",
            MAIN,
            id="words behind the code",
        ),
        pytest.param(
            CPP,
            f"```cpp\nstruct Edge {{ int u; }};\n```\n```cpp\n// no Edge here\n{MAIN}\n```",
            f"// no Edge here\n{MAIN}",
            id="a name in a comment is not used",
        ),
        pytest.param(
            CPP,
            "```cpp\nvector<int> twice(vector<int> a) { return a; }\n```\n```cpp\n#include <vector>\n"
            "#ifdef LOCAL\n#include <debug.h>\n#endif\nusing namespace std;\n"
            "int main() { twice({}); }\n```",
            "#include <vector>\nusing namespace std;\n\nvector<int> twice(vector<int> a) { return a; }\n\n"
            "#include <vector>\n#ifdef LOCAL\n#include <debug.h>\n#endif\nusing namespace std;\n"
            "int main() { twice({}); }",
            id="headers come before borrowed functions, except conditional ones",
        ),
        pytest.param(
            CPP, f"```c\n{MAIN}\n```", MAIN, id="the tag of another language does for want of a better one"
        ),
        pytest.param(
            JAVA,
            "```java\npackage a;\nimport java.util.*;\npublic class Two { }\n```\n"
            "```java\npackage a;\nimport java.io.*;\npublic class Main "
            "{ public static void main(String[] a) { new Two(); } }\n```",
            "package a;\nimport java.io.*;\nimport java.util.*;\n\nclass Two { }\n\n"
            "public class Main { public static void main(String[] a) { new Two(); } }",
            id="files of Java become one: imports first, one public class",
        ),
        pytest.param(
            CPP,
            f"```cpp\n{MAIN}\n```\nIts main function:\n"
            "```cpp\nint main() {\n  int n;\n  std::cin >> n;\n  ...\n}\n```",
            MAIN,
            id="a quoted part of the program is not the program",
        ),
        pytest.param(
            JAVA,
            f"```java\n{READER}\n```\nIt reads:\n"
            "```java\nstatic void main(String[] a) { System.in.read(); }\n```",
            READER,
            id="a method without its class is a part",
        ),
        pytest.param(
            CPP,
            "```cpp\n#include <iostream>\nusing ll = long long;\n```\n```cpp\nint half(int n);\n```\n"
            "```cpp\nll half(ll n) { return n / 2; }\n```\n"
            "```cpp\nint main() { std::cout << half(4); }\n```",
            "#include <iostream>\n\n#include <iostream>\nusing ll = long long;\n\nint half(int n);\n\n"
            "ll half(ll n) { return n / 2; }\n\nint main() { std::cout << half(4); }",
            id="a program in parts is put together",
        ),
        pytest.param(
            JAVA,
            f"```java\n{READER}\n```\nTest it:\n```java\n@Test void works() {{ Twice.main(null); }}\n```",
            READER,
            id="a call of main is no main",
        ),
        pytest.param(
            JAVA,
            f"```java\n{READER}\n```\nCheck:\n```java\npublic class Check {{\n"
            "  public static void main(String[] a) { System.out.println(1); }\n}\n```",
            READER,
            id="a program that reads comes before one that only checks",
        ),
    ],
)
def test_programs_of_several_blocks(language, answer, wanted):
    reading = read_pattern_candidate(language, None, "", answer, ExtractionRule.LAST)
    assert reading.code.strip() == wanted
