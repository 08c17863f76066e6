import os

from executors.execution.isolation import empty


def test_a_directory_is_emptied_whatever_is_in_it(tmp_path):
    target = tmp_path / "target"
    target.write_text("kept")
    box = tmp_path / "box"
    (box / "a" / "b").mkdir(parents=True)
    (box / "a" / "b" / "file").touch()
    (box / "link").symlink_to(target)
    (box / "a" / "directory link").symlink_to(tmp_path)
    (box / "dangling").symlink_to("nowhere")
    os.mkfifo(box / "fifo")
    (box / "\udcff").touch()
    (box / "a").chmod(0)
    empty(str(box))
    assert list(box.iterdir()) == []
    assert target.read_text() == "kept"


def test_a_path_longer_than_any_system_call_takes_is_removed(tmp_path):
    box = tmp_path / "box"
    box.mkdir()
    place = os.open(box, os.O_RDONLY)
    for _ in range(50):
        os.mkdir("d" * 250, 0o700, dir_fd=place)
        inner = os.open("d" * 250, os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = inner
    os.close(place)
    empty(str(box))
    assert list(box.iterdir()) == []
