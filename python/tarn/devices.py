"""Devices and their streams."""

import ctypes
from typing import NamedTuple

from . import library
from .handles import Handle

_FEATURES = ("virtual_memory", "host_access", "unified_memory", "peer_access", "no_backing", "aliasing")
_MEMORY_KINDS = ("device", "pinned", "managed", "host")
_TYPES = ("cpu", "cuda", "rocm", "metal", "oneapi", "opencl", "sim", "other")


class Backend(NamedTuple):
    name: str
    type: str
    device_count: int
    is_available: bool
    reason: str
    shared_object: str


def backends():
    """All backends, with the reason where one is unavailable."""
    found = []

    def visit(context, info):
        info = info.contents
        found.append(Backend(info.name.decode(), _TYPES[info.type], info.device_count, bool(info.is_available),
                             info.reason.decode(), info.shared_object.decode()))
        return 0

    library.backend_each(library.BackendVisitor(visit), None)
    return found


def _names(known, bits):
    return frozenset(name for place, name in enumerate(known) if bits >> place & 1)


class Device(Handle):
    """A device by name: "cpu", "sim:80GiB", "cuda:0". The same name gives the same device."""

    __slots__ = ()
    _kind = "device"
    _release = library.device_release

    def __init__(self, name="cpu"):
        super().__init__(library.made_by(library.device_open, name.encode()))

    @classmethod
    def _borrow(cls, pointer):
        return cls._own(library.device_retain(pointer))

    @property
    def name(self):
        return library.device_name(self.handle).decode()

    @property
    def type(self):
        return _TYPES[library.device_type_of(self.handle)]

    @property
    def properties(self):
        """A dict of what the device says of itself; sizes in bytes."""
        read = library.DeviceProperties(struct_size=ctypes.sizeof(library.DeviceProperties))
        library.device_properties_get(self.handle, ctypes.byref(read))
        values = {name: getattr(read, name) for name, _ in read._fields_ if name != "struct_size"}
        values["name"] = read.name.decode()
        values["features"] = _names(_FEATURES, read.features)
        values["memory_kinds"] = _names(_MEMORY_KINDS, read.memory_kinds)
        return values

    def synchronize(self):
        """Waits for all work of the device, and raises what failed in it."""
        library.device_synchronize(self.handle)

    def __eq__(self, other):
        return isinstance(other, Device) and self._pointer == other._pointer

    def __hash__(self):
        return hash(self._pointer)

    def __repr__(self):
        return "tarn.Device(%r)" % self.name if self._pointer else "tarn.Device(released)"


class Stream(Handle):
    """An ordered queue of work on a device; where a stream is asked for, None is the device's default one."""

    __slots__ = ()
    _kind = "stream"
    _release = library.stream_release

    def __init__(self, device="cpu"):
        with as_device(device) as opened:
            super().__init__(library.made_by(library.stream_create, opened.handle))

    @property
    def device(self):
        return Device._borrow(library.stream_device(self.handle))

    def synchronize(self):
        """Waits for the work so far, and raises what failed in it."""
        library.stream_synchronize(self.handle)

    def wait_for(self, other):
        """Later work of this stream waits for what the other one has been given so far."""
        event = library.made_by(library.stream_record, other.handle)
        try:
            library.stream_wait(self.handle, event)
        finally:
            library.event_release(event)


def as_device(device):
    """A device object of the caller's own, for a name or a device."""
    return Device._borrow(device.handle) if isinstance(device, Device) else Device(device)
