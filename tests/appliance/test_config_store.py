"""Settings on disk: changing, saving, the trial across starts, and what a full, read-only or broken disk does."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from pathlib import Path

import pytest

from appliance.config import Config
from appliance.config_store import ConfigStore, with_values
from appliance.config_trial import MAX_STARTS
from appliance.errors import ConfigError
from appliance.live import Plan

TEXT = '# our door\n[device]\nname = "Door"\n[room]\ntoken = "secret"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(TEXT)
    return path


async def started(file: Path, *, good: bool = True) -> ConfigStore:
    store = ConfigStore(file)
    await store.begin()
    if good:
        await store.keep()
    return store


async def test_a_change_is_saved_with_the_comments_and_read_again(file: Path) -> None:
    store = await started(file)
    plan = await store.change({"device.name": "Gate", "web.port": 8443})
    assert (plan.live, plan.restart) == (("device.name",), ("web.port",))
    assert file.read_text().startswith('# our door\n[device]\nname = "Gate"\n')
    assert (store.config.device.name, store.running.device.name) == ("Gate", "Gate")
    assert (store.config.web.port, store.running.web.port, store.pending) == (8443, 8080, ("web.port",))
    again = await started(file, good=False)
    assert again.config == store.config
    assert again.pending == ()


async def test_what_is_live_is_applied_before_the_answer(file: Path) -> None:
    store = await started(file)
    applied: list[tuple[Config, Plan]] = []

    async def apply(config: Config, plan: Plan) -> None:
        applied.append((config, plan))

    store.apply = apply
    await store.change({"video.width": 640, "web.port": 1})
    [(config, plan)] = applied
    assert (config.video.width, config.web.port, plan.parts) == (640, 8080, frozenset({"video"}))
    await store.change({"hub.room_capacity": 3})  # nothing live in it, and the port still waits
    assert len(applied) == 1
    assert set(store.pending) == {"web.port", "hub.room_capacity"}


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"web.port": 70_000}, ["web.port"]),
        ({"video.width": 641, "device.name": ""}, ["device.name", "video.width"]),
        ({"hub.enabled": False}, ["hub.enabled"]),
        ({"device.nam": "x"}, ["device.nam"]),
        ({"devise.name": "x"}, ["devise"]),
        ({"audio.driver": "file"}, ["audio.driver"]),
    ],
)
async def test_what_is_wrong_changes_nothing(file: Path, changes: dict[str, int | str], names: list[str]) -> None:
    store = await started(file)
    before = {path.name: path.read_bytes() for path in file.parent.iterdir()}
    with pytest.raises(ConfigError) as caught:
        await store.change(changes)
    assert sorted(name for name, _ in caught.value.problems) == names
    assert {path.name: path.read_bytes() for path in file.parent.iterdir()} == before
    assert store.config.device.name == "Door"


async def test_what_the_program_decides_is_not_changed(file: Path) -> None:
    store = ConfigStore(file, fixed={"web.host": "127.0.0.1"})
    assert (await store.begin()).web.host == "127.0.0.1"
    with pytest.raises(ConfigError, match=r"web\.host"):
        await store.change({"web.host": "0.0.0.0"})


async def test_edits_by_hand_meanwhile_are_not_lost(file: Path) -> None:
    store = await started(file)
    file.write_text(TEXT + "[video]\nfps = 15\n")
    plan = await store.change({"device.name": "Gate"})
    assert set(plan.live) == {"device.name", "video.fps"}
    assert store.config.video.fps == 15
    file.write_text("[video\n")
    with pytest.raises(ConfigError, match="not TOML"):
        await store.change({"device.name": "Door"})
    assert file.read_text() == "[video\n"


async def test_secrets_in_comments_are_not_exported_either(file: Path) -> None:
    file.write_text('# ours\n[room]\n  # token = "of last year"\n[mqtt]\n#url = "mqtt://me:hunter2@broker"\n')
    exported = (await started(file)).export()
    assert "# ours" in exported
    assert "last year" not in exported
    assert "hunter2" not in exported


async def test_export_and_import_leave_the_secrets_where_they_are(file: Path) -> None:
    store = await started(file)
    exported = store.export()
    assert "secret" not in exported
    plan = await store.replace(exported.replace("Door", "Gate") + "[video]\nfps = 5\n")
    assert set(plan.live) == {"device.name", "video.fps"}
    assert store.config.room.token == "secret"
    with pytest.raises(ConfigError, match=r"video\.fps"):
        await store.replace("[video]\nfps = 0\n")
    assert store.config.video.fps == 5


async def test_new_files_are_for_the_owner_only_and_old_ones_keep_their_mode(tmp_path: Path) -> None:
    store = await started(tmp_path / "sub" / "config.toml")
    await store.change({"device.name": "x"})
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "sub").iterdir()}
    assert set(modes) == {"config.toml", "config.good.toml", "config.trial.json"}
    assert set(modes.values()) == {0o600}
    store.file.chmod(0o640)
    await store.change({"device.name": "y"})
    assert stat.S_IMODE(store.file.stat().st_mode) == 0o640


async def test_a_link_to_the_file_stays_one(tmp_path: Path, file: Path) -> None:
    link = tmp_path / "link.toml"
    link.symlink_to(file)
    store = await started(link)
    await store.change({"device.name": "Gate"})
    assert link.is_symlink()
    assert "Gate" in file.read_text()


# --- trial


async def test_new_settings_are_on_trial_until_kept(file: Path) -> None:
    store = await started(file)
    assert store.trial is None
    await store.change({"web.port": 1}, visitor="remote", was_online=True)
    assert store.trial is not None
    assert (store.trial.was_online, store.trial.visit, store.is_running) == (True, "remote", False)
    again = await started(file, good=False)
    assert again.trial is not None
    assert (again.trial.starts, again.trial.visit, again.is_running) == (1, "remote", True)
    await again.keep()
    assert (await started(file, good=False)).trial is None


async def test_settings_that_end_the_unit_again_and_again_are_taken_back(file: Path) -> None:
    await (await started(file)).change({"device.name": "Gate", "web.port": 1})
    for _ in range(MAX_STARTS):
        store = await started(file, good=False)
        assert (store.config.device.name, store.notice) == ("Gate", None)
    store = await started(file, good=False)
    assert (store.config.device.name, store.trial) == ("Door", None)
    assert store.notice is not None
    assert set(store.notice.keys) == {"device.name", "web.port"}
    assert "3 times" in store.notice.reason
    assert file.read_text() == TEXT
    assert "Gate" in file.with_name("config.rejected.toml").read_text()
    assert (await started(file)).notice == store.notice  # until somebody has read it
    await store.forget_notice()
    assert (await started(file)).notice is None


async def test_starts_that_end_as_wished_do_not_count(file: Path) -> None:
    await (await started(file)).change({"web.port": 1})
    for _ in range(MAX_STARTS + 2):
        store = await started(file, good=False)
        await store.stopped_cleanly()
    assert store.notice is None


@pytest.mark.parametrize("text", ["[video\n", "[video]\nfps = 0\n", "\xff", "x" * 70_000])
async def test_a_broken_file_gives_way_to_the_last_good_one(file: Path, text: str) -> None:
    await started(file)
    file.write_bytes(text.encode("latin-1"))
    store = await started(file, good=False)
    assert store.config.device.name == "Door"
    assert store.notice is not None
    assert "config.toml" in store.notice.reason
    assert file.read_text() == TEXT


async def test_a_broken_file_where_nothing_better_is_known_is_refused(file: Path) -> None:
    file.write_text("[video\n")
    with pytest.raises(ConfigError, match="not TOML"):
        await started(file)
    assert file.read_text() == "[video\n"
    with pytest.raises(ConfigError, match=r"none\.toml"):
        await ConfigStore(file.with_name("none.toml"), must_exist=True).begin()


async def test_the_first_settings_of_all_stay_however_often_they_fail(file: Path) -> None:
    for _ in range(MAX_STARTS + 2):
        store = await started(file, good=False)
    assert store.config.device.name == "Door"
    assert not await store.take_back("it is broken")


async def test_taking_back_at_run_time(file: Path) -> None:
    store = await started(file)
    assert not await store.take_back("nothing is on trial")
    await store.change({"web.host": "10.9.9.9"})
    await store.begin()
    assert await store.take_back("cannot listen on 10.9.9.9")
    assert (await store.begin()).web.host == "0.0.0.0"
    assert store.notice is not None
    assert store.notice.keys == ("web.host",)


@pytest.mark.parametrize("memory", [b"", b"{", b"[]", b'{"trial": {"digest": 3}}', b"\xff\xfe"])
async def test_a_memory_that_is_garbage_is_an_empty_one(file: Path, memory: bytes) -> None:
    await started(file)
    file.with_name("config.trial.json").write_bytes(memory)
    assert (await started(file)).notice is None


# --- kill -9, full and read-only disks

KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from appliance import atomic_file
from appliance.config_store import ConfigStore

place, old = Path(sys.argv[1]), sys.argv[2]
file = place / "config.toml"

class Faulty:  # os, until its call number `step`: then this process is gone, in the midst of a write
    def __init__(self, step):
        self.step, self.calls = step, []
    def __getattr__(self, name):
        real = getattr(os, name)
        if name not in ("open", "fchmod", "write", "fsync", "close", "rename"):
            return real
        def call(*args):
            self.calls.append(name)
            if len(self.calls) == self.step:
                if name == "write":
                    os.write(args[0], args[1][:len(args[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args)
        return call

async def change(step):
    store = ConfigStore(file)
    await store.begin()
    atomic_file.os = Faulty(step)
    await store.change({"device.name": "Gate", "web.port": 1})
    return atomic_file.os.calls

for step in range(1, 100):
    for path in place.iterdir():
        path.unlink()
    file.write_text(old)
    pid = os.fork()
    if not pid:
        calls = asyncio.run(change(step))
        print("whole", *calls, flush=True)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    text = file.read_text()
    store = ConfigStore(file)
    config = asyncio.run(store.begin())
    assert text == old or text.startswith(old.split("[room]")[0].replace("Door", "Gate")), (step, text)
    assert config.device.name == ("Door" if text == old else "Gate"), step
    assert store.notice is None, step
    assert asyncio.run(store.change({"device.name": "Yard"})), step
    assert not [path for path in place.iterdir() if path.name.startswith(".")], step
    print(step, "new" if text != old else "old", flush=True)
    if status == 0:
        break
"""


async def test_kill_9_at_any_step_leaves_the_old_or_the_new_file_whole(tmp_path: Path) -> None:
    """Each call that a save makes to the system is, in a run of its own, the last thing that the process did."""
    place = tmp_path / "state"
    place.mkdir()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, str(place), TEXT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    *steps, calls, _ = out.decode().splitlines()
    left = [line.split()[1] for line in steps]
    assert left == sorted(left, reverse=True)  # old, ..., old, new, ...
    assert {"old", "new"} == set(left)
    # What a power cut asks for beyond that: content on the disk before its name, the name before anything is said.
    one_file = ["open", "fchmod", "write", "fsync", "close", "open", "rename", "fsync", "close"]
    assert calls.split()[1:] == one_file * 3  # the good text, the memory, the text


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize("options", ["ro", "size=4k"])
async def test_a_disk_that_takes_nothing_changes_nothing(tmp_path: Path, options: str) -> None:
    """A file system of its own, read-only or full: the child in a mount namespace leaves nothing behind."""
    script = f"""
import asyncio, os, sys
from pathlib import Path
from appliance.config_store import ConfigStore
from appliance.errors import ConfigError
file = Path({str(tmp_path)!r}, "disk", "config.toml")
async def main():
    store = ConfigStore(file)
    await store.begin()
    before = file.read_bytes()
    names = sorted(os.listdir(file.parent))
    try:
        await store.change({{"device.name": "Gate"}})
    except ConfigError as exc:
        print(exc)
    assert file.read_bytes() == before, "changed"
    assert store.config.device.name == "Door", "changed in memory"
    assert not [n for n in os.listdir(file.parent) if n.startswith(".")], "litter"
    again = ConfigStore(file)
    assert (await again.begin()).device.name == "Door"
asyncio.run(main())
"""
    disk = tmp_path / "disk"
    disk.mkdir()
    (tmp_path / "script.py").write_text(script)
    # One page for the file itself; "size=4k" is then full.
    mount = "size=64k" if options == "ro" else options
    commands = f"""
mount -t tmpfs -o {mount} tmpfs {disk} && printf '%s' "$TEXT" > {disk}/config.toml || exit 9
[ {options} = ro ] && mount -o remount,ro {disk}
exec "$PYTHON" {tmp_path}/script.py
"""
    process = await asyncio.create_subprocess_exec(
        "unshare", "--mount", "--propagation", "private", "sh", "-c", commands,
        env=os.environ | {"TEXT": TEXT, "PYTHON": sys.executable},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    words = "Read-only file system" if options == "ro" else "No space left on device"
    assert words in out.decode(), err.decode()
    assert "not saved, nothing changed" in out.decode()


def test_values_by_name() -> None:
    config = with_values(Config(), {"web.port": 1, "gpio.quality_leds": (1,)})
    assert (config.web.port, config.gpio.quality_leds) == (1, (1,))
