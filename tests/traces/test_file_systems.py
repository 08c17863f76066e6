import pytest

from testbudget.traces.file_systems import file_system_of, is_network, is_object_mount

TABLE = r"""
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:25 / /home rw shared:2 - nfs4 server:/home rw,vers=4.2
31 30 0:26 / /home/me/my\040runs rw - fuse.sshfs me@server:/runs rw
32 22 0:27 / /home2 rw - cifs //server/share rw
33 22 0:28 / /data rw - xfs /dev/vdb rw
34 33 0:29 / /data rw - fuse.s3fs s3fs rw
an unreadable line
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/runs", "ext4"),
        ("/home/me/runs/a", "nfs4"),
        ("/home/me/my runs/a", "fuse.sshfs"),
        ("/home2/a", "cifs"),
        ("/homely", "ext4"),
        ("/data/runs", "fuse.s3fs"),
    ],
)
def test_the_deepest_and_latest_mount_says_what_a_path_lies_on(path, kind, tmp_path):
    from pathlib import Path

    table = tmp_path / "mountinfo"
    table.write_text(TABLE)
    assert file_system_of(Path(path), table) == kind


def test_without_a_table_nothing_is_known(tmp_path):
    assert file_system_of(tmp_path, tmp_path / "none") == ""


def test_kinds_are_told_apart():
    assert [
        kind for kind in ("ext4", "nfs", "nfs4", "overlay", "cifs", "lustre", "tmpfs") if is_network(kind)
    ] == [
        "nfs",
        "nfs4",
        "cifs",
        "lustre",
    ]
    assert is_object_mount("fuse.s3fs")
    assert is_object_mount("fuse.gcsfuse")
    assert not is_object_mount("fuse.sshfs")
