"""Small traces for the tests, made as their programs would write them, and what is true of them worked out independently."""
import os
import pickle
import random
import struct

MIB = 1 << 20
BASE = 0x7F0000000000


def snapshot(steps=60, seed=1, site="forward", initial=3, settings=None):
    """A snapshot as torch.cuda.memory._dump_snapshot writes one, of a made-up job, and its peak of live bytes."""
    choose = random.Random(seed)
    frames = [{"name": site, "filename": "model.py", "line": 12}, {"name": "main", "filename": "train.py", "line": 40}]
    events, live, blocks = [], {}, {}
    top, now = BASE, 1_700_000_000_000_000
    for i in range(initial):
        blocks[top] = live[top] = (1 + i) * MIB
        top += (1 + i) * MIB
    current = peak = sum(live.values())
    free_later = list(live)[:1]

    def record(action, address, size):
        nonlocal now
        now += choose.randrange(1, 900)
        events.append({"action": action, "addr": address, "size": size, "stream": 0, "time_us": now, "frames": frames})

    for step in range(steps):
        size = choose.choice([700, 4096, 300_000, 5 * MIB, 12 * MIB])
        record("alloc", top, size)
        blocks[top] = live[top] = size
        free_later.append(top)
        top += (size + 511) // 512 * 512
        current += size
        peak = max(peak, current)
        if step % 3 == 2:
            address = free_later.pop(0)
            for action in ("free_requested", "free_completed"):
                record(action, address, live[address])
            current -= live.pop(address)
    listed = [{"address": address, "size": (size + 511) // 512 * 512, "requested_size": size if address in live else 0,
               "state": "active_allocated" if address in live else "inactive", "frames": []} for address, size in blocks.items()]
    total = sum(block["size"] for block in listed)
    segment = {"device": 0, "address": BASE, "total_size": total, "allocated_size": current, "active_size": current,
               "requested_size": current, "stream": 0, "segment_type": "large", "segment_pool_id": (0, 0), "is_expandable": False,
               "frames": [], "blocks": listed}
    return {"segments": [segment], "device_traces": [events], "allocator_settings": settings or {"PYTORCH_CUDA_ALLOC_CONF": ""},
            "external_annotations": []}, peak


def write_snapshot(path, **options):
    data, peak = snapshot(**options)
    with open(path, "wb") as file:
        pickle.dump(data, file)
    return peak


def write_two_devices(path):
    """A snapshot of two devices; for each its peak of live bytes, and what was reserved there."""
    (data, first), (other, second) = snapshot(), snapshot(seed=7, steps=80)
    for segment in other["segments"]:
        segment["device"] = 1
    data["segments"] += other["segments"]
    data["device_traces"] += other["device_traces"]
    with open(path, "wb") as file:
        pickle.dump(data, file)
    return [(peak, data["segments"][device]["total_size"]) for device, peak in enumerate((first, second))]


def write_rmm(path, rows=40):
    """A log of RMM's logging_resource_adaptor; its peak of live bytes."""
    lines, live, current, peak = ["Thread,Time,Action,Pointer,Size,Stream"], [], 0, 0
    for i in range(rows):
        size, pointer = 1000 * (i + 1), 0x1000000 + i * 0x100000
        lines.append(f"1,12:00:00:{i:06d},allocate,{pointer:#x},{size},0x0")
        live.append((pointer, size))
        current += size
        peak = max(peak, current)
        if i % 2:
            pointer, size = live.pop(0)
            lines.append(f"1,12:00:00:{i:06d},free,{pointer:#x},{size},0x0")
            current -= size
    with open(path, "w") as file:
        file.write("\n".join(lines) + "\n")
    return peak


class Runs:
    """Pickles as a command to run."""

    def __reduce__(self):
        return os.system, ("touch tarn-was-here",)


def write_bad_inputs(folder):
    """Files that no reader may accept: yields name and path of each."""
    def put(name, data):
        path = os.path.join(folder, name)
        with open(path, "wb") as file:
            file.write(data)
        return name, path

    good = pickle.dumps(snapshot()[0])
    with open(os.path.join(folder, "random.pickle"), "wb") as file:
        for _ in range(50):
            file.write(os.urandom(MIB))
    yield "50 MB of random bytes", file.name
    # The same behind a pickle's first bytes, so that the reader begins.
    with open(os.path.join(folder, "random2.pickle"), "wb") as file:
        file.write(b"\x80\x04\x95" + struct.pack("<Q", 50 * MIB))
        for _ in range(50):
            file.write(os.urandom(MIB))
    yield "random bytes that begin as a pickle", file.name
    yield put("truncated.pickle", good[:len(good) // 2])
    yield put("system.pickle", pickle.dumps({"segments": [], "device_traces": [[Runs()]]}))
    yield put("nested.pickle", b"\x80\x04" + b"]" * 1_000_000 + b"a" * 999_999 + b".")
    yield put("column.csv", b"Thread,Time,Action,Pointer,Stream\n1,12:00:00:000001,allocate,0x1000,0x0\n")
    yield put("empty", b"")
    yield "a directory", folder
