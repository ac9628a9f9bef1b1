from __future__ import annotations

import sys

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from appliance.hub.changes import Changes
from appliance.hub.kept_bytes import KeptBytes, _size
from appliance.hub.missed_calls import MAX_KEPT_BYTES as MAX_MISSED_BYTES
from appliance.hub.missed_calls import MAX_OF_ONE, MissedCalls
from appliance.hub.peer_messages import MAX_KEPT_BYTES, MAX_KEPT_BYTES_OF_ONE, Mailbox
from appliance.room.signaling_login import MAX_INVITATION_BYTES, MAX_TEXT_BYTES, MissedInvitation, PeerMessageReceived


def message(sender: str, text: str = "x" * MAX_TEXT_BYTES) -> PeerMessageReceived:
    return PeerMessageReceived(message="id", sender=sender, text=text, server_ts_ms=0)


def disk_bytes(entry: msgspec.Struct) -> int:
    return len(msgspec.json.encode(entry))


def test_one_sender_fills_its_share_and_no_more() -> None:
    changes: Changes = []
    mailbox = Mailbox(changes.append)
    refusals = [mailbox.put(f"user-{number}", message("pest")) for number in range(200)]
    assert 60 <= refusals.count("") <= 64
    assert refusals[-1] == f"over {MAX_KEPT_BYTES_OF_ONE} bytes of 'pest' wait already"
    assert mailbox.put("desk", message("door")) == ""
    assert len(changes) == refusals.count("") + 1


def test_all_together_fill_so_much_and_there_is_room_again_when_it_is_taken() -> None:
    mailbox = Mailbox(lambda change: None)
    for sender in range(100):
        for receiver in range(100):
            mailbox.put(f"user-{receiver}", message(f"sender-{sender}"))
    kept = sum(disk_bytes(one) for waiting in mailbox._waiting.values() for one in waiting)
    assert 0.9 * MAX_KEPT_BYTES < kept <= MAX_KEPT_BYTES
    assert mailbox.put("user-0", message("door")) == f"over {MAX_KEPT_BYTES} bytes wait already, of all"
    mailbox.take("user-0")
    assert mailbox.put("user-0", message("door")) == ""
    for receiver in range(100):
        mailbox.take(f"user-{receiver}")
    assert mailbox._bytes._of.total() == 0


def test_missed_calls_fill_so_much() -> None:
    book = MissedCalls(lambda change: None, lambda: 0.0)
    for number in range(40_000):
        book.add(f"callee-{number % 40}", f"caller-{number % 97}", "", "x" * (MAX_INVITATION_BYTES * (number % 3) // 2))
    kept = sum(disk_bytes(call) for calls in book._missed.values() for call in calls)
    assert 0.8 * MAX_MISSED_BYTES < kept <= MAX_MISSED_BYTES
    assert all(len(calls) <= MAX_OF_ONE for calls in book._missed.values())


def test_calls_that_make_way_for_newer_ones_make_room_too() -> None:
    book = MissedCalls(lambda change: None, lambda: 0.0)
    for _ in range(100 * MAX_OF_ONE):
        book.add("desk", "door", "Door", "x" * 8000)
    assert len(book._missed["desk"]) == MAX_OF_ONE


@given(st.lists(st.tuples(st.sampled_from("abc"), st.text(max_size=200)), max_size=40))
def test_what_is_counted_is_at_least_what_it_takes(entries: list[tuple[str, str]]) -> None:
    kept = KeptBytes(20_000, 9_000)
    taken = []
    for sender, text in entries:
        one = MissedInvitation(sender=sender, content=text)
        assert _size(one) >= max(disk_bytes(one), sys.getsizeof(text))
        if not kept.refusal(sender, one):
            kept.add(sender, one)
            taken.append(one)
    assert sum(map(disk_bytes, taken)) <= 20_000
    for one in taken:
        kept.drop(one.sender, one)
    assert not kept._of
