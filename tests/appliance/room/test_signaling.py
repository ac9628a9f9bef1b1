"""The wire messages: what is encoded is decoded; whatever else comes gives an `RtcError` of the message-* codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from appliance.errors import RtcError, RtcErrorCode
from appliance.room.signaling import MAX_MESSAGE_BYTES, ClientMessage, HubMessage, decode_client, decode_hub, encode
from appliance.room.signaling_base import LegId, RequestId, RoomId, Sdp, Token, UserId, UserName
from appliance.room.signaling_room import Join, Publish, StreamInfo, TrackInfo

CODES = {RtcErrorCode.MESSAGE_MALFORMED, RtcErrorCode.MESSAGE_UNKNOWN, RtcErrorCode.MESSAGE_TOO_LARGE}
CLIENT_CLASSES: tuple[type, ...] = get_args(ClientMessage)
HUB_CLASSES: tuple[type, ...] = get_args(HubMessage)

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def values(kind: msgspec.inspect.Type) -> st.SearchStrategy[Any]:
    """JSON values that this msgspec type allows."""
    match kind:
        case msgspec.inspect.StructType():
            required = {field.encode_name: values(field.type) for field in kind.fields if field.required}
            optional = {field.encode_name: values(field.type) for field in kind.fields if not field.required}
            tag = {kind.tag_field: st.just(kind.tag)} if kind.tag_field else {}
            return st.fixed_dictionaries({**tag, **required}, optional=optional)
        case msgspec.inspect.StrType(pattern=str() as pattern):
            return st.from_regex(pattern).filter(lambda text: len(text) <= (kind.max_length or 64))
        case msgspec.inspect.StrType():
            return _text.filter(lambda text: len(text) >= (kind.min_length or 0))
        case msgspec.inspect.IntType():
            return st.integers(-(2**31) if kind.ge is None else kind.ge, 2**31 if kind.le is None else kind.le)
        case msgspec.inspect.FloatType():
            least, most = kind.ge if kind.gt is None else kind.gt, kind.le if kind.lt is None else kind.lt
            return st.floats(least, most, allow_nan=False, allow_infinity=False, exclude_min=kind.gt is not None)
        case msgspec.inspect.BoolType():
            return st.booleans()
        case msgspec.inspect.NoneType():
            return st.none()
        case msgspec.inspect.LiteralType():
            return st.sampled_from(kind.values)
        case msgspec.inspect.UnionType():
            return st.one_of(*map(values, kind.types))
        case msgspec.inspect.DictType():
            return st.dictionaries(values(kind.key_type), values(kind.value_type), max_size=3)
        case msgspec.inspect.VarTupleType():
            return st.lists(values(kind.item_type), min_size=kind.min_length or 0, max_size=kind.max_length or 3)
        case _:
            raise AssertionError(kind)


def messages(classes: tuple[type, ...]) -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(*(values(msgspec.inspect.type_info(one)) for one in classes))


BOTH: list[Any] = [
    pytest.param(decode_client, messages(CLIENT_CLASSES), id="client"),
    pytest.param(decode_hub, messages(HUB_CLASSES), id="hub"),
]
Decode = Callable[[str], Any]


def decoded(decode: Decode, text: str) -> Any:
    """The message, or None when it is refused as it must be."""
    try:
        return decode(text)
    except RtcError as exc:
        if exc.code not in CODES or not exc.message:
            raise
        return None


@pytest.mark.parametrize(("decode", "valid"), BOTH)
@given(data=st.data())
def test_valid_messages_survive_a_round_trip(
    decode: Decode, valid: st.SearchStrategy[dict[str, Any]], data: st.DataObject
) -> None:
    sent = data.draw(valid)
    message = decode(json.dumps(sent))
    assert decode(encode(message)) == message
    assert json.loads(encode(message)).items() >= {"type": sent["type"]}.items()


@pytest.mark.parametrize(("decode", "valid"), BOTH)
@given(data=st.data())
def test_mutated_messages_are_read_or_refused(
    decode: Decode, valid: st.SearchStrategy[dict[str, Any]], data: st.DataObject
) -> None:
    text = json.dumps(data.draw(valid))
    place = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 8))
    instead = data.draw(st.text(max_size=4) | st.sampled_from(['"', "{", "[", "null", "1e999", "\\ud800", "\x00", "-"]))
    decoded(decode, text[:place] + instead + text[place + cut :])


@pytest.mark.parametrize(("decode", "valid"), BOTH)
@given(data=st.data())
def test_a_field_of_another_type_is_named(
    decode: Decode, valid: st.SearchStrategy[dict[str, Any]], data: st.DataObject
) -> None:
    message = data.draw(valid)
    field = data.draw(st.sampled_from(sorted(message)))
    message[field] = {"no": "such value"}
    with pytest.raises(RtcError) as caught:
        decode(json.dumps(message))
    assert caught.value.code in CODES
    assert (
        f"$.{field}" in caught.value.message
        or "unknown field" in caught.value.message
        or "`type`" in caught.value.message
    )


@pytest.mark.parametrize("decode", [decode_client, decode_hub])
@given(
    text=st.text()
    | st.recursive(st.none() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)).map(json.dumps)
)
@example("")
@example("[" * 60_000)
@example('{"type":' * 6_000)
@example("\ud800")
@example('{"type":"ping","t":1e400}')
@example('{"type":"ping","t":NaN}')
@example('{"type":"\\ud800"}')
def test_any_text_is_read_or_refused(decode: Decode, text: str) -> None:
    decoded(decode, text)


@pytest.mark.parametrize("decode", [decode_client, decode_hub])
@pytest.mark.parametrize("filler", ["x", "ä", "\ud800"])
def test_the_limit_counts_bytes(decode: Decode, filler: str) -> None:
    size = len(filler.encode("utf-8", "surrogatepass"))
    with pytest.raises(RtcError) as caught:
        decode(filler * (MAX_MESSAGE_BYTES // size + 1))
    assert caught.value.code is RtcErrorCode.MESSAGE_TOO_LARGE
    with pytest.raises(RtcError) as caught:
        decode(filler * (MAX_MESSAGE_BYTES // size))
    assert caught.value.code is RtcErrorCode.MESSAGE_MALFORMED


@pytest.mark.parametrize("kind", [UserId, RoomId, UserName, LegId, RequestId, Sdp, Token])
def test_every_text_of_a_message_has_a_limit(kind: Any) -> None:
    described = msgspec.inspect.type_info(kind)
    assert getattr(described, "max_length", None) or getattr(described, "le", None)


def test_a_message_is_one_json_object_with_a_type() -> None:
    assert json.loads(encode(Join(id=1, room="attic"))) == {
        "type": "join",
        "id": 1,
        "room": "attic",
        "role": "host",
        "profile": "rtc",
        "token": "",
        "probe": False,
        "data": "",
        "encryption": "none",
        "key_fingerprint": "",
        "priority": 100,
        "preemptive": False,
        "video_codecs": ["h264", "vp8"],
    }
    stream = StreamInfo(audio=TrackInfo(muted=True))
    assert decode_client(encode(Publish(id=2, stream=stream))) == Publish(id=2, stream=stream)


def test_directions_are_not_mixed_up() -> None:
    for text in ('{"type":"ok","id":1}', '{"type":"kicked","reason":"kick"}'):
        decode_hub(text)
        with pytest.raises(RtcError) as caught:
            decode_client(text)
        assert caught.value.code is RtcErrorCode.MESSAGE_UNKNOWN
