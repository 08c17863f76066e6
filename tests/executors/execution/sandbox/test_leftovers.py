import os

from testbudget.executors.execution.sandbox.leftovers import empty_directory


def test_a_directory_with_any_content_is_emptied(tmp_path):
    target = tmp_path / "target"
    target.write_text("kept")
    directory = tmp_path / "directory"
    (directory / "a" / "b").mkdir(parents=True)
    (directory / "a" / "b" / "file").touch()
    (directory / "link").symlink_to(target)
    (directory / "a" / "directory link").symlink_to(tmp_path)
    (directory / "dangling").symlink_to("nowhere")
    os.mkfifo(directory / "fifo")
    (directory / "\udcff").touch()
    (directory / "a").chmod(0)
    empty_directory(str(directory))
    assert list(directory.iterdir()) == []
    assert target.read_text() == "kept"


def test_a_path_longer_than_the_limit_of_system_calls_is_removed(tmp_path):
    directory = tmp_path / "directory"
    directory.mkdir()
    place = os.open(directory, os.O_RDONLY)
    for _ in range(50):
        os.mkdir("d" * 250, 0o700, dir_fd=place)
        inner = os.open("d" * 250, os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = inner
    os.close(place)
    empty_directory(str(directory))
    assert list(directory.iterdir()) == []
