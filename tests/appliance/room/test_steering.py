from __future__ import annotations

from appliance.room.options import RoomOptions
from appliance.room.steering import MAX_WISHES, Steering
from appliance.room.streams import StreamType


def test_wishes_outlive_a_stay_and_the_latest_are_kept() -> None:
    steering = Steering(RoomOptions())
    steering.wish(("first", "main"), StreamType.LOW)
    for number in range(MAX_WISHES - 1):
        steering.wish((f"guest-{number}", "main"), StreamType.LOW)
    steering.wish(("first", "main"), StreamType.LOW)
    steering.wish(("last", "main"), StreamType.LOW)
    assert len(steering._wishes) == MAX_WISHES
    assert ("first", "main") in steering._wishes
    assert ("guest-0", "main") not in steering._wishes
