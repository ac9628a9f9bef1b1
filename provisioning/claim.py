"""The claim code: proof that whoever sets the owner's password holds the unit, or its label, in hand.

Made at first start, eight random characters (40 bits) and a check character, "4F7-K2M-9XB"; beside it the key of the
unit's set-up access point (80 bits). Both stand on the label, so they stay the same for the life of the unit; they are
drawn at random, never made from a MAC address or serial number. The code opens nothing once the unit has an owner,
until somebody at its buttons asks for set-up mode (`Claim.reopen`), and then for `REOPENED_S` at most.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from pathlib import Path
from typing import Annotated

import msgspec

from provisioning.private_file import locked, write_private

logger = logging.getLogger(__name__)

FILE_NAME = "claim.json"
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's Base32: no I, L, O, U
CODE_LENGTH = 9  # with the check character
KEY_LENGTH = 16  # WPA takes 8 to 63 characters
REOPENED_S = 900.0
_GROUP = 3
_ALIKE = str.maketrans("OILU", "011V", "- \t\r\n")


class ClaimError(Exception):
    """The file with the claim code cannot be read or written."""


class ClaimSecrets(msgspec.Struct, frozen=True):
    """`code` without its dashes; `key`: the WPA passphrase of the set-up access point."""

    code: Annotated[str, msgspec.Meta(pattern=f"^[{ALPHABET}]{{{CODE_LENGTH}}}$")]
    key: Annotated[str, msgspec.Meta(pattern=f"^[{ALPHABET}]{{{KEY_LENGTH}}}$")]

    @property
    def shown(self) -> str:
        """The code as people read it."""
        return "-".join(self.code[at : at + _GROUP] for at in range(0, CODE_LENGTH, _GROUP))


class Claim:
    """Whether the claim code opens the unit now. `is_claimed` is kept true by whoever sets the owner's password.

    unclaimed --claimed--> claimed --reopen--> open for a while --claimed | close | time--> claimed
    """

    def __init__(self, known: ClaimSecrets, *, is_claimed: bool) -> None:
        self._secrets = known
        self.is_claimed = is_claimed
        self._open_until_s = float("-inf")

    @property
    def code(self) -> str:
        """With dashes, as it stands on the label."""
        return self._secrets.shown

    @property
    def key(self) -> str:
        """The WPA passphrase of the set-up access point."""
        return self._secrets.key

    def is_open(self, now_s: float) -> bool:
        """The unit has no owner yet, or set-up mode was asked for at its buttons."""
        return not self.is_claimed or now_s < self._open_until_s

    def reopen(self, now_s: float) -> None:
        """Set-up mode began: the code works again, whoever the owner is."""
        self._open_until_s = now_s + REOPENED_S

    def close(self) -> None:
        """Set-up mode ended. A unit without an owner stays open."""
        self._open_until_s = float("-inf")

    def claimed(self) -> None:
        """The owner has a password now: the code has done its work."""
        self.is_claimed = True
        self.close()

    def matches(self, code: str) -> bool:
        return hmac.compare_digest(normalized(code).encode("utf-8", "replace"), self._secrets.code.encode())


def new_secrets() -> ClaimSecrets:
    body = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH - 1))
    return ClaimSecrets(body + _check_character(body), "".join(secrets.choice(ALPHABET) for _ in range(KEY_LENGTH)))


def load_or_create(state_dir: Path) -> ClaimSecrets:
    """The secrets of this unit, made when there are none. Raises `ClaimError`; blocks."""
    path = state_dir / FILE_NAME
    try:
        with locked(path):
            try:
                return msgspec.json.decode(path.read_bytes(), type=ClaimSecrets)
            except FileNotFoundError:
                pass
            except msgspec.DecodeError as exc:
                logger.error("%s: %s; a new claim code takes the place of the one on the label", path, exc)
            made = new_secrets()
            write_private(path, msgspec.json.encode(made))
            return made
    except OSError as exc:
        raise ClaimError(f"{path}: {exc.strerror}; give a state directory that can be written") from exc


def normalized(code: str) -> str:
    """As it is compared: upper case, without dashes and blanks, letters that look like digits read as such."""
    return code.upper().translate(_ALIKE)


def is_well_formed(code: str) -> bool:
    """Whether the check character fits: a slip of the pen is told without costing an attempt."""
    plain = normalized(code)
    if len(plain) != CODE_LENGTH or any(character not in ALPHABET for character in plain):
        return False
    return _check_character(plain[:-1]) == plain[-1]


def _check_character(body: str) -> str:
    """Luhn's algorithm, modulo 32 (ISO/IEC 7812-1 annex B, widened): any one wrong character, and most swaps."""
    total, size = 0, len(ALPHABET)
    for place, character in enumerate(reversed(body)):
        value = ALPHABET.index(character) * (2 - place % 2)
        total += value // size + value % size
    return ALPHABET[-total % size]
