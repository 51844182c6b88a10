"""Which folders are a place for weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.errors import FolderRefusedError
from workbench.hub.disk import check_place, mount_of

# The lines are WSL 2's own, with the options that say nothing here left out.
WSL = r"""
/dev/sdc / ext4 rw,relatime 0 0
none /mnt/wsl tmpfs rw,relatime 0 0
C:\134 /mnt/c 9p rw,noatime,aname=drvfs;path=C:\134;uid=1000;symlinkroot=/mnt/ 0 0
drivers /usr/lib/wsl/drivers 9p ro,nosuid,aname=drivers;fmask=222 0 0
C:\134 /mnt/old\040drive drvfs rw,noatime,uid=1000 0 0
drvfsa /mnt/d virtiofs rw,relatime 0 0
share /srv/share virtiofs rw,relatime 0 0
/dev/sdd /mnt/c/linux ext4 rw,relatime 0 0
"""


@pytest.mark.parametrize(
    "folder", ["/mnt/c/Users/me/models/pocket", "/mnt/old drive/models/pocket", "/mnt/d/pocket"]
)
def test_a_drive_of_windows_is_refused_with_the_reason(folder: str):
    """9p in WSL 2, drvfs in WSL 1, virtiofs where it is switched on."""
    with pytest.raises(FolderRefusedError, match="minutes instead of seconds") as caught:
        check_place(Path(folder), WSL, repo="a/b")

    assert caught.value.path == Path(folder)
    assert "WORKBENCH_HOME" in caught.value.hint


def test_another_9p_share_is_not_called_windows():
    """It is as slow, and of whoever runs the virtual machine."""
    mounts = "/dev/vda / ext4 rw 0 0\nhost /data 9p rw,trans=virtio 0 0\n"

    with pytest.raises(FolderRefusedError, match=r"a share of another system \(9p\)"):
        check_place(Path("/data/models"), mounts, repo="a/b")


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/home/me/models", "ext4"),
        ("/mnt/cdrom/models", "ext4"),
        ("/mnt/c/linux/models", "ext4"),
        ("/srv/share", "virtiofs"),
        ("/mnt/wsl/x", "tmpfs"),
    ],
)
def test_linux_own_file_systems_are_taken(folder: str, kind: str):
    """Also one that is mounted below a drive, and a virtual machine's own share."""
    _, found, is_drive = mount_of(Path(folder), WSL)

    assert (found, is_drive) == (kind, False)
    assert not is_refused(Path(folder), WSL)


def test_a_link_to_a_drive_is_the_drive(tmp_path: Path):
    """``models`` may be a link to where there is more room."""
    (tmp_path / "drive").mkdir()
    (tmp_path / "models").symlink_to(tmp_path / "drive")
    mounts = f"/dev/sdc / ext4 rw 0 0\nC:\\134 {tmp_path}/drive 9p rw,aname=drvfs 0 0\n"

    with pytest.raises(FolderRefusedError):
        check_place(tmp_path / "models" / "pocket", mounts, repo="a/b")


def test_a_machine_that_has_nothing_else_is_taken():
    """Some sandboxes have 9p at /; the same below it is refused, since / is another place."""
    at_root, below = "none / 9p rw,trans=fd 0 0\n", "none /home 9p rw,trans=fd 0 0\n"

    assert not is_refused(Path("/home/me"), at_root)
    assert not is_refused(Path("/home/me"), "")
    assert is_refused(Path("/home/me"), f"/dev/vda / ext4 rw 0 0\n{below}")


def is_refused(folder: Path, mounts: str) -> bool:
    try:
        check_place(folder, mounts, repo="a/b")
    except FolderRefusedError:
        return True
    return False
