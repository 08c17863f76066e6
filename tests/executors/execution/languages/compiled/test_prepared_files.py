import pytest

from testbudget.executors.execution.languages.compiled.prepared_files import prepared_directory


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def make(directory, place):
    (directory / "made").write_text(str(place))


def test_files_are_made_once_and_know_their_place():
    made = prepared_directory("headers", "version 1", make)
    assert (made / "made").read_text() == str(made)
    (made / "made").write_text("kept")
    assert prepared_directory("headers", "version 1", make) == made
    assert (made / "made").read_text() == "kept"


def test_another_compiler_has_files_of_its_own():
    first, second = (prepared_directory("headers", version, make) for version in ("1", "2"))
    assert first != second


def test_nothing_half_made_stays(cache):
    def fail(directory, place):
        make(directory, place)
        raise OSError("no space")

    assert prepared_directory("headers", "1", fail) is None
    assert [path.name for path in cache.rglob("*") if path.is_file()] == ["headers.lock"]
