from testbudget.cli.language_checks import check_languages
from testbudget.cli.main import main


def test_a_language_whose_samples_have_their_verdicts_works():
    assert check_languages(["python"])["python"].works


def test_a_missing_compiler_is_one_sentence_with_the_package(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    states = check_languages(["cpp", "java"])
    assert states["cpp"] == (
        False,
        "C++ programs need g++, which is not installed; Debian's package is g++",
    )
    assert states["java"].judges.endswith("Debian's package is default-jdk-headless")


def test_doctor_of_a_language_without_its_compiler_is_a_mistake(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["doctor", "--language", "go"]) == 2
    assert "Go programs need go, which is not installed" in capsys.readouterr().err
