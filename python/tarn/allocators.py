"""Allocators: a device's memory by the strategy that a text names, such as "limit:8GiB | caching"."""

import ctypes
import threading

from . import library
from .devices import Device, as_device
from .handles import Handle


class Allocator(Handle):
    """The stack of strategies that `spec` names; None takes TARN_ALLOCATOR from the environment, else "caching"."""

    __slots__ = ()
    _kind = "allocator"
    _release = library.allocator_release

    def __init__(self, device="cpu", spec=None):
        text = None if spec is None else spec.encode()
        with as_device(device) as opened:
            super().__init__(library.made_by(library.allocator_create, opened.handle, text))

    @classmethod
    def _borrow(cls, pointer):
        return cls._own(library.allocator_retain(pointer))

    @property
    def spec(self):
        return library.allocator_spec(self.handle).decode()

    @property
    def device(self):
        return Device._borrow(library.allocator_device(self.handle))

    @property
    def cache_size(self):
        """Bytes taken from the device that are in no live buffer."""
        return library.allocator_cache_size(self.handle)

    @property
    def allocated_size(self):
        """Bytes taken from the device."""
        return library.allocator_allocated_size(self.handle)

    def stats(self):
        """The statistics: numbers, and for each figure a dict of its current, peak and total value."""
        read = library.MemoryStats(struct_size=ctypes.sizeof(library.MemoryStats))
        library.allocator_stats(self.handle, ctypes.byref(read))
        values = {}
        for name, kind in read._fields_:
            value = getattr(read, name)
            if kind is library.Figure:
                value = {"current": value.current, "peak": value.peak, "total": value.total}
            elif name == "histogram":
                value = list(value)
            values[name] = value
        del values["struct_size"]
        values["is_graph_mode"] = bool(values["is_graph_mode"])
        return values

    def reset_peaks(self):
        library.allocator_reset_peaks(self.handle)

    def empty_cache(self):
        """Gives cached memory back to the device."""
        library.allocator_empty_cache(self.handle)

    def set_limit(self, limit):
        """Bytes that may be in use, for a stack with a `limit`."""
        library.allocator_set_limit(self.handle, limit)

    def shut_down(self):
        """Later allocations fail; what lives can still be freed."""
        library.allocator_shut_down(self.handle)

    def check(self):
        """Walks the whole structure and raises Internal with the first invariant that is broken."""
        library.allocator_check(self.handle)

    def __repr__(self):
        if not self._pointer:
            return "tarn.Allocator(released)"
        return "tarn.Allocator(%r, %r)" % (self.device.name, self.spec)


_lock = threading.Lock()
_default = None


def default_allocator():
    """Where tensors come from when no allocator is named: one of "cpu", made when it is first needed."""
    global _default
    with _lock:
        if _default is None:
            _default = Allocator("cpu")
        return _default


def set_default_allocator(allocator):
    """Changes that; None goes back to a new one of "cpu". Returns the one before, or None."""
    global _default
    if allocator is not None and not isinstance(allocator, Allocator):
        raise TypeError("an allocator is wanted, not %s" % type(allocator).__name__)
    with _lock:
        before, _default = _default, allocator
    return before
