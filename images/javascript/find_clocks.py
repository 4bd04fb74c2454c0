"""Where Node keeps the times of its start, for starter.js; run while the image is made.

Prints, as JSON, the library that has them and their places in it; nothing of a Node
that does not name them.
"""

import ctypes
import json
from pathlib import Path

NAMES = {
    "process": "_ZN4node11performance25performance_process_startE",
    "wall": "_ZN4node11performance35performance_process_start_timestampE",
    "node": "_ZN4node11per_process15node_start_timeE",
}


def main() -> None:
    (path,) = Path("/usr/lib").glob("*/libnode.so.*[0-9]")
    library = ctypes.CDLL(str(path))
    found = {
        name: ctypes.addressof(ctypes.c_uint64.in_dll(library, symbol))
        for name, symbol in NAMES.items()
    }
    base = min(
        int(line.partition("-")[0], 16)
        for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
        if line.endswith(str(path.resolve()))
    )
    places = {name: address - base for name, address in found.items()}
    print(json.dumps({"library": path.name, "places": places}))


main()
