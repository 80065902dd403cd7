"""Reads the snapshots of a folder with Python's own pickle module, as PyTorch's tools do, and compares each with what the
allocator said of itself (NAME.pickle.expected): one line for each block, in address order.

PyTorch's viewer, which runs in a browser, has a reader of its own: only the instructions that it knows may occur, numbers have
at most eight bytes, and lists are appended to in batches.
"""

import pathlib
import pickle
import pickletools
import sys

VIEWER_KNOWS = {
    "APPEND", "APPENDS", "BINFLOAT", "BINGET", "BININT", "BININT1", "BININT2", "BINPUT", "BINUNICODE", "DICT", "EMPTY_DICT",
    "EMPTY_LIST", "EMPTY_TUPLE", "FRAME", "LIST", "LONG1", "LONG_BINGET", "LONG_BINPUT", "MARK", "MEMOIZE", "NEWFALSE",
    "NEWTRUE", "NONE", "PROTO", "SETITEM", "SETITEMS", "SHORT_BINUNICODE", "STOP", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3",
}
SEGMENT_FIELDS = {
    "device", "address", "total_size", "allocated_size", "active_size", "requested_size", "stream", "segment_type",
    "segment_pool_id", "is_expandable", "frames", "blocks",
}
FRAME_FIELDS = {"name", "filename", "line"}


def check_instructions(data):
    position = 0
    for opcode, argument, place in pickletools.genops(data):
        assert opcode.name in VIEWER_KNOWS, f"{opcode.name} at byte {place}"
        if opcode.name == "LONG1":
            assert argument.bit_length() < 64 and data[place + 1] <= 8, f"a number of {data[place + 1]} bytes at {place}"
        position = place
    assert position == len(data) - 1


def check_segment(segment):
    assert set(segment) == SEGMENT_FIELDS, sorted(segment)
    blocks = segment["blocks"]
    address = segment["address"]
    for block in blocks:
        assert block["address"] == address
        assert all(set(frame) == FRAME_FIELDS for frame in block["frames"])
        address += block["size"]
    in_use = [block for block in blocks if block["state"] == "active_allocated"]
    active = [block for block in blocks if block["state"] != "inactive"]
    assert segment["total_size"] == sum(block["size"] for block in blocks)
    assert segment["allocated_size"] == sum(block["size"] for block in in_use)
    assert segment["active_size"] == sum(block["size"] for block in active)
    assert segment["requested_size"] == sum(block["requested_size"] for block in active)
    assert segment["segment_type"] == ("large" if segment["total_size"] > 2 << 20 else "small")


def lines_of(snapshot):
    rows = []
    for segment in snapshot["segments"]:
        for block in segment["blocks"]:
            requested = block["requested_size"] if block["state"] == "active_allocated" else 0
            rows.append((block["address"], f"{block['address']} {block['size']} {requested} {block['state']} "
                                           f"{segment['stream']} {block['user_metadata']}"))
    return [line for _, line in sorted(rows)]


def main():
    pickles = sorted(pathlib.Path(sys.argv[1]).glob("state-*.pickle"))
    for path in pickles:
        data = path.read_bytes()
        check_instructions(data)
        snapshot = pickle.loads(data)
        assert {"segments", "device_traces", "allocator_settings", "external_annotations"} <= set(snapshot)
        assert len(snapshot["device_traces"]) == 1
        for segment in snapshot["segments"]:
            check_segment(segment)
        wanted = path.with_name(path.name + ".expected").read_text(encoding="utf-8").splitlines()
        assert lines_of(snapshot) == wanted, f"{path.name}:\n{lines_of(snapshot)}\n{wanted}"
    print(f"{len(pickles)} snapshots are what their allocators said")
    return 0 if pickles else 1


if __name__ == "__main__":
    sys.exit(main())
