#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Rooms (folders of src) include each other in one direction: there is no circle between them.
The build sees to it that an include which points up does not compile; this sees the whole."""

import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
SRC = TOP / "src"


def main():
    rooms = {}
    for header in sorted(SRC.rglob("*.h")):
        rooms.setdefault(header.name, []).append(header.parent)

    def room_of(name, user):
        """Where a name stands twice: the user's own room, or one of its layer."""
        layer = user.relative_to(SRC).parts[0]
        found = rooms.get(name, [])
        return min(found, default=None, key=lambda room: (
            room != user, room.relative_to(SRC).parts[0] != layer))

    uses = {}
    for file in sorted(SRC.rglob("*.[ch]")):
        for name in re.findall(r'^#include "([^"]+)"', file.read_text(), flags=re.M):
            to = room_of(name, file.parent)
            if to and to != file.parent:
                uses.setdefault(file.parent, {}).setdefault(to, f"{file.relative_to(TOP)}: {name}")

    def circle(room, path):
        if room in path:
            return path[path.index(room):] + [room]
        for to in uses.get(room, {}):
            found = circle(to, path + [room])
            if found:
                return found
        return None

    for room in sorted(uses):
        found = circle(room, [])
        if found:
            print("rooms include each other in a circle:")
            for a, b in zip(found, found[1:]):
                print(f"  {uses[a][b]}")
            print("To mend: move what the lower room needs down; docs/source-map.md has the order")
            return 1
    return 0


sys.exit(main())
