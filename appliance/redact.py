"""Nothing secret reaches a log: what looks like a secret is masked, and so is every secret made known by `hide`.

| masked by its looks                                   | example                                      |
|-------------------------------------------------------|----------------------------------------------|
| room tokens and other JWTs                            | eyJhbGciOi....                               |
| API tokens                                            | rat_...                                      |
| bearers and cookies                                   | Authorization: Bearer ..., Cookie: ...       |
| values of telling names, as in TOML, JSON, repr, URLs | psk = "...", {'password': '...'}, ?token=... |
| passwords in URLs                                     | mqtt://user:...@host                         |
| ICE passwords                                         | a=ice-pwd:...                                |
| private keys                                          | -----BEGIN PRIVATE KEY-----                  |

The telling name and the mask stay, so that the line still says what it was about.
"""

from __future__ import annotations

import re

MASK = "***"
MIN_SECRET_CHARS = 6  # a shorter one would mask innocent words all over the log

_NAMES = r"(?:\w*(?:token|password|passwd|passphrase|psk|secret|credential|claim_code|api_key|session_id))"
_PATTERNS = (
    re.compile(r"()-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(r"()\beyJ[\w-]{8,}(?:\.[\w-]*){1,4}"),
    re.compile(r"()\brat_[\w-]{8,}"),
    re.compile(r"(?i)(\b(?:set-)?cookie['\"]?\s*[:=]\s*['\"]?)[^\r\n'\"]+"),
    re.compile(r"(?i)(\bbearer\s+)[^\s'\",;]+"),
    re.compile(rf"(?i)(\b{_NAMES}['\"]?\s*[:=]\s*b?\")(?:[^\"\\\r\n]|\\.)+"),
    re.compile(rf"(?i)(\b{_NAMES}['\"]?\s*[:=]\s*b?')(?:[^'\\\r\n]|\\.)+"),
    re.compile(rf"(?i)(\b{_NAMES}\s*=\s*)(?!\*\*\*)[^\s'\",;&)}}\]]+"),
    re.compile(r"(\b[a-z][\w+.-]*://[^\s/@:]*:)[^\s/@]+(?=@)"),
    re.compile(r"(\ba=ice-pwd:)\S+"),
)

_hidden: set[str] = set()
_hidden_pattern: re.Pattern[str] | None = None


def hide(*secrets: str) -> None:
    """From now on mask these wherever they stand. Those under `MIN_SECRET_CHARS` characters are left alone."""
    global _hidden_pattern
    new = {secret for secret in secrets if len(secret) >= MIN_SECRET_CHARS} - _hidden
    if new:
        _hidden.update(new)
        longest_first = sorted(_hidden, key=len, reverse=True)  # one may begin with another
        _hidden_pattern = re.compile("|".join(map(re.escape, longest_first)))


def redact(text: str) -> str:
    """`text` without its secrets."""
    if _hidden_pattern is not None:
        text = _hidden_pattern.sub(MASK, text)
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\1{MASK}", text)
    return text
