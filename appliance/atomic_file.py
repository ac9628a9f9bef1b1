"""A file that is replaced as a whole: whatever happens, power cut and full disk too, the old or the new one is there.

    temporary file in the same directory -> write -> fsync -> rename -> fsync of the directory

rename(2) is atomic on every file system of ours; the first fsync keeps ext4's delayed allocation from renaming an empty
file into place, the second one makes the name as lasting as the content.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Make `data` the content of `path`; a new file has mode 0600, an old one keeps its own. Blocks for the disk.

    Raises OSError; then `path` is as it was and nothing is left beside it. A symbolic link stays one.
    """
    path = Path(os.path.realpath(path))
    temporary = path.with_name(f".{path.name}.new")  # one name: a write cut short leaves at most one, which is reused
    try:
        mode = path.stat().st_mode & 0o777
    except FileNotFoundError:
        mode = 0o600
    with suppress(FileNotFoundError):
        temporary.unlink()
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            os.fchmod(descriptor, mode)
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.rename(temporary, path)
            with suppress(OSError):  # the new file is there, whatever the disk says about how long
                os.fsync(directory)
        finally:
            os.close(directory)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
