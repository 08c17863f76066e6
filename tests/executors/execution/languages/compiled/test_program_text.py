import pytest

from testbudget.executors.execution.languages.compiled.program_text import code_alone, joined_by_braces

CUT_OFF = "long f(long x) {\n    return x;\n"
TEST = "}\nint main() { return 0; }"
JAVA = "class Problem {\n    static long f(long x) {\n        return x;\n"
JAVA_TEST = "    }\n    public static void main(String[] a) { }\n\n}\n"


def code(text):
    return text.split()


@pytest.mark.parametrize("candidate", [CUT_OFF, f"{CUT_OFF}}}", f"{CUT_OFF}}}  // done {{\n"])
def test_a_function_ends_once(candidate):
    joined = code_alone(joined_by_braces(candidate, TEST))
    assert code(joined) == code(f"{CUT_OFF}{TEST}")


@pytest.mark.parametrize("candidate", [JAVA, f"{JAVA}    }}\n}}\n"])
def test_a_class_ends_once(candidate):
    assert code(joined_by_braces(candidate, JAVA_TEST)) == code(f"{JAVA}{JAVA_TEST}")


def test_a_test_of_its_own_is_only_added():
    assert joined_by_braces("int f() { return 1; }", "int main() {}") == (
        "int f() { return 1; }\nint main() {}"
    )


def test_braces_in_literals_and_comments_are_none():
    text = "char a = '{'; char b = '\\''; // {\nString c = \"}\\\"{\"; /* { */ fn<'a>(x: &'a str) {}"
    assert code_alone(text).count("{") == 1


@pytest.mark.parametrize("text", ['"\\', '"""\\', "/* ", '"""/*"\\'])
def test_literals_without_an_end_take_time_in_proportion(text):
    assert "end" in code_alone(text * 100_000 + "\nend")


def test_a_literal_without_an_end_is_code():
    assert code_alone('a " b\n"c" d /* e') == 'a " b\n  d /* e'
    assert code_alone('""" a "b" c').split() == ['b"', "c"]
