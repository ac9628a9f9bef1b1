"""How many bytes a hub keeps for those who are not there, all in all and of each who sent them. Pure."""

from __future__ import annotations

import sys
from collections import Counter

import msgspec

_encoder = msgspec.json.Encoder()
_RECORD_BYTES = 512  # of an entry without its texts, in memory


class KeptBytes:
    """`most` of all senders together, `most_of_one` of each: nobody alone takes the room of all."""

    def __init__(self, most: int, most_of_one: int) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._of: Counter[str] = Counter()

    def refusal(self, sender: str, entry: msgspec.Struct) -> str:
        """Why there is no room for this one of `sender`'s; empty: there is."""
        size = _size(entry)
        if self._of[sender] + size > self._most_of_one:
            return f"over {self._most_of_one} bytes of {sender!r} wait already"
        if self._of.total() + size > self._most:
            return f"over {self._most} bytes wait already, of all"
        return ""

    def add(self, sender: str, entry: msgspec.Struct) -> None:
        self._of[sender] += _size(entry)

    def drop(self, sender: str, entry: msgspec.Struct) -> None:
        """What was added before."""
        self._of[sender] -= _size(entry)
        if not self._of[sender]:
            del self._of[sender]


def _size(entry: msgspec.Struct) -> int:
    """In memory and on the disk alike: JSON escapes what one byte holds with six, a string holds it with up to four."""
    texts = (value for value in msgspec.structs.astuple(entry) if isinstance(value, str))
    return _RECORD_BYTES + max(len(_encoder.encode(entry)), sum(map(sys.getsizeof, texts)))
