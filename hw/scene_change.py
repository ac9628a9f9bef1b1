"""What differs from one scene to the next. Pure."""

from __future__ import annotations

from dataclasses import replace

from hw import Scene, Tile


def changed_tiles(before: Scene, after: Scene) -> list[Tile] | None:
    """The tiles of `after` that have another picture where all else stands as it stood; None: more changed."""
    if len(before.tiles) != len(after.tiles):
        return None
    changed = []
    for old, new in zip(before.tiles, after.tiles, strict=True):
        if old.frame is new.frame:
            if old != new:
                return None
            continue
        if old.frame is None or new.frame is None or replace(old, frame=new.frame) != new:
            return None
        if (old.frame.width, old.frame.height) != (new.frame.width, new.frame.height):
            return None  # it may leave other bars
        changed.append(new)
    words = (before.title, before.subtitle), (after.title, after.subtitle)
    if words[0] != words[1] or (changed and any(words[1])):
        return None  # words stand on the tiles
    return changed
