"""Tarn as PyTorch's allocator of CUDA memory.

    import tarn.torch
    tarn.torch.install()        # before anything of PyTorch's touches CUDA
    import torch
    ...
    print(tarn.torch.allocator(0).stats())

It is for the whole process and for good. What libtarn-torch.so reads from the environment stands in tools/torch/torch.h.
"""

import ctypes
import glob
import os
import warnings

from . import errors, library
from .allocators import Allocator

# PyTorch's setters, the plug-in's functions for them, and what is lost where PyTorch has no such setter.
_HOOKS = (
    ("set_init_fn", "tarn_torch_init", "a check of the number of devices"),
    ("set_reset_fn", "tarn_torch_reset", "torch.cuda.empty_cache"),
    ("set_memory_fraction_fn", "tarn_torch_memory_fraction", "torch.cuda.set_per_process_memory_fraction"),
    ("set_base_alloc_fn", "tarn_torch_base_allocation", "base addresses"),
    ("set_record_stream_fn", "tarn_torch_record_stream", "Tensor.record_stream"),
    ("set_begin_allocate_to_pool", "tarn_torch_begin_allocate_to_pool", "CUDA graphs"),
    ("set_end_allocate_to_pool_fn", "tarn_torch_end_allocate_to_pool", "CUDA graphs"),
    ("set_release_pool", "tarn_torch_release_pool", "CUDA graphs"),
)

_plugin = None
_installed = None


def _library_folder():
    """Where libtarn lies; what was found by its name alone, the system's loader found."""
    path = library.library_path()
    if os.sep not in path:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as mapped:
            files = [line.split(None, 5)[5].rstrip() for line in mapped if "/libtarn.so" in line]
        path = files[0] if files else path
    return os.path.dirname(os.path.abspath(path))


def _candidates(name):
    folder = _library_folder()
    for place in (os.path.dirname(os.path.abspath(__file__)), folder, os.path.join(folder, "tarn"),
                  os.path.join(folder, "torch")):
        yield from sorted(glob.glob(os.path.join(place, name)))
    yield name


def plugin_path():
    """Where libtarn-torch.so is: what TARN_TORCH_LIBRARY names, else beside this package or beside libtarn."""
    return os.environ.get("TARN_TORCH_LIBRARY") or next(_candidates("libtarn-torch.so"))


def _load():
    global _plugin
    if _plugin is None:
        try:
            loaded = ctypes.CDLL(plugin_path())
        except OSError as error:
            raise errors.NotFound("the plug-in for PyTorch is not there (TARN_TORCH_LIBRARY names it): %s" % error)
        loaded.tarn_torch_allocator.restype = ctypes.c_void_p
        loaded.tarn_torch_allocator.argtypes = [ctypes.c_int]
        loaded.tarn_torch_last_error.restype = ctypes.c_char_p
        _plugin = loaded
    return _plugin


def allocator(device=0):
    """Tarn's allocator of PyTorch's device of that number: for its statistics, its limit, its cache."""
    plugin = _load()
    pointer = plugin.tarn_torch_allocator(device)
    if not pointer:
        raise errors.Unavailable(plugin.tarn_torch_last_error().decode("utf-8", "replace"))
    return Allocator._borrow(pointer)


_FIGURES = ("allocation", "segment", "active", "inactive_split", "allocated_bytes", "reserved_bytes", "active_bytes",
            "inactive_split_bytes", "requested_bytes")
_SIZES = ("all", "small_pool", "large_pool")
_PARTS = ("current", "peak", "allocated", "freed")
_COUNTS = ("num_alloc_retries", "num_ooms", "num_sync_all_streams", "num_device_alloc", "num_device_free")


class _Stats(ctypes.Structure):
    _fields_ = [("figures", ctypes.c_int64 * (len(_FIGURES) * len(_SIZES) * len(_PARTS))),
                ("counts", ctypes.c_int64 * len(_COUNTS))]


def memory_stats(device=0):
    """What torch.cuda.memory_stats says of Tarn's memory on that device, under PyTorch's names; with the plug-in as well, of which
    PyTorch asks nothing."""
    plugin, stats = _load(), _Stats()
    if plugin.tarn_torch_stats_get(ctypes.c_int(device), ctypes.byref(stats)) != 0:
        raise errors.Unavailable(plugin.tarn_torch_last_error().decode("utf-8", "replace"))
    names = [".".join((name, sizes, part)) for name in _FIGURES for sizes in _SIZES for part in _PARTS]
    return dict(zip(names + list(_COUNTS), list(stats.figures) + list(stats.counts)))


def reset_peak_memory_stats(device=0):
    """Sets the peaks of memory_stats to what is now."""
    _load().tarn_torch_reset_peaks(ctypes.c_int(device))


def _check_pytorch():
    import torch
    if not hasattr(torch.cuda.memory, "CUDAPluggableAllocator"):
        raise errors.NotSupported("PyTorch %s takes no allocators of others: 2.0 is the first that does"
                                  % torch.__version__)
    built_for = getattr(torch, "version", None)
    if built_for is not None and built_for.cuda is None:
        raise errors.NotSupported("PyTorch %s was built without CUDA, so that it has no CUDA memory to take from Tarn: install one of "
                                  "PyTorch's builds for CUDA" % torch.__version__)
    return torch


def pluggable():
    """A torch.cuda.memory.CUDAPluggableAllocator on Tarn, with all hooks that this PyTorch has; not yet PyTorch's own. With
    TARN_TORCH_ALLOCATOR=direct it can serve the segments of a torch.cuda.MemPool."""
    torch, plugin = _check_pytorch(), _load()
    made = torch.cuda.memory.CUDAPluggableAllocator(plugin_path(), "tarn_torch_malloc", "tarn_torch_free")
    inner, missing = made.allocator(), []
    for setter, function, purpose in _HOOKS:
        if hasattr(inner, setter):
            getattr(inner, setter)(ctypes.cast(getattr(plugin, function), ctypes.c_void_p).value)
        elif purpose not in missing:
            missing.append(purpose)
    if missing:
        warnings.warn("PyTorch %s has no hooks for %s: with Tarn these do nothing" % (torch.__version__, ", ".join(missing)))
    return made


def _shim_path(torch):
    """The shim that was built for this PyTorch, or None."""
    beside = os.path.join(os.path.dirname(os.path.abspath(plugin_path())),
                          "libtarn-torch-shim-%s.so" % torch.__version__.split("+")[0])
    return beside if os.path.exists(beside) else None


# As in tools/torch/torch.cmake.
_SHIM_VERSIONS = (2, 5), (2, 15)


def _no_shim(torch):
    """Why there is none, in a sentence."""
    version = torch.__version__.split("+")[0]
    first, last = _SHIM_VERSIONS
    if not first <= tuple(int(number) for number in version.split(".")[:2]) <= last:
        return "there is no shim for PyTorch %s, only for 2.%d to 2.%d: the plug-in serves it" % (version, first[1], last[1])
    built = sorted(os.path.basename(path) for path in glob.glob(os.path.join(
        os.path.dirname(os.path.abspath(plugin_path())), "libtarn-torch-shim-*.so")))
    return "no shim was built for PyTorch %s (beside the plug-in: %s): docs/pytorch.md says how, in one command" % (
        version, ", ".join(built) or "none")


def _load_shim(torch, path):
    try:
        return ctypes.CDLL(path)
    except OSError as error:
        raise errors.NotSupported("the shim was built for another build of PyTorch %s than this one, or for another Tarn: build it again, or take "
                                  "install(shim=False); %s" % (torch.__version__, error))


def _check_spec(spec):
    """Refuses a misspelt stack now, and not with the first allocation, by making one on a simulated device. What only a GPU has is left to the
    first allocation, and so is `record`, which would begin its file."""
    if spec is None or "record" in spec:
        return
    try:
        Allocator("sim:1GiB", spec).release()
    except errors.InvalidArgument:
        raise
    except errors.Error:
        pass


def install(spec=None, shim=None):
    """Makes Tarn PyTorch's allocator of CUDA memory, for the whole process.

    `spec` is the stack of allocators on each device; None takes TARN_TORCH_ALLOCATOR, else a cache. The shim, which keeps
    PyTorch's statistics, snapshots and exceptions, is taken where one was built for this PyTorch; `shim` True asks for it, False for the
    plug-in. Returns which it is: "shim" or "plug-in". Once it is installed, the same call changes nothing. Raises InvalidState when CUDA has
    been started already, or another spec was installed; InvalidArgument for a spec that cannot be read; NotFound without the plug-in's
    library, or without the shim where it is asked for; NotSupported for PyTorch before 2.0 or without CUDA, and for a shim that was built for
    another PyTorch of the same version. Nothing has changed then.
    """
    global _installed
    torch = _check_pytorch()
    if _installed is not None:
        if spec not in (None, _installed[0]):
            raise errors.InvalidState("Tarn is PyTorch's allocator already, as %r" % (_installed[0],))
        return _installed[1]
    if torch.cuda.is_initialized():
        raise errors.InvalidState("PyTorch has started CUDA: tarn.torch.install() comes first")
    path = _shim_path(torch) if shim is not False else None
    if shim and path is None:
        raise errors.NotFound(_no_shim(torch))
    _load()
    _check_spec(spec)
    if path is not None:
        if _load_shim(torch, path).tarn_torch_shim_install() != 0:
            raise errors.InvalidState("PyTorch has used its allocator already: tarn.torch.install() comes first")
        kind = "shim"
    else:
        torch.cuda.memory.change_current_allocator(pluggable())
        kind = "plug-in"
    if spec is not None:  # read when a device is first asked for
        os.environ["TARN_TORCH_ALLOCATOR"] = spec
    _installed = (spec, kind)
    return kind
