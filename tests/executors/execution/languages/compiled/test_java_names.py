import pytest

from testbudget.executors.execution.languages.compiled.java_names import declared_types, source_name

TEXTS = {
    "class A {}": "Main.java",
    "import java.util.*;\npublic final class Foo { class Inner {} }": "Foo.java",
    'class A { String s = "public class B {"; }\npublic class C {}': "C.java",
    "// public class No {}\n/* public class Neither {} */ public record Point(int x) {}": "Point.java",
    "class A { public class Inner {} }\npublic enum Kind { X { } }": "Kind.java",
    "public sealed interface Shape permits A {}": "Shape.java",
    "package a.b;\n@Deprecated public abstract class Q<T> {}": "Q.java",
    "class A { char c = '{'; }\npublic class B { }": "B.java",
}


@pytest.mark.parametrize("text", TEXTS)
def test_the_file_has_the_name_of_the_public_type(text):
    assert source_name(text) == TEXTS[text]


def test_types_are_found_at_the_top_alone():
    text = "interface A { enum B { } } class C { void f() { record D(int x) {} } } enum E {}"
    assert declared_types(text) == [("A", False), ("C", False), ("E", False)]
