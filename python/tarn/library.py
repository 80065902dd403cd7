"""libtarn itself: where it is found, and the signatures of its functions.

Every function that answers a status raises that status' exception; the others return what the C function returns.
"""

import ctypes
import ctypes.util
import glob
import os

from . import errors

c_int, c_int64, c_uint64, c_size_t, c_double = (
    ctypes.c_int, ctypes.c_int64, ctypes.c_uint64, ctypes.c_size_t, ctypes.c_double)
pointer, text, reference = ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER

MAXIMUM_RANK = 8


class Shape(ctypes.Structure):
    _fields_ = [("rank", c_size_t), ("dims", c_int64 * MAXIMUM_RANK)]


class Scalar(ctypes.Structure):
    _fields_ = [("kind", c_int), ("floating", c_double), ("integer", c_int64)]


class OperationOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("allocator", pointer), ("stream", pointer)]


class Conv2dOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("stride", c_int64 * 2), ("padding", c_int64 * 2),
                ("dilation", c_int64 * 2), ("groups", c_int64), ("activation", c_int)]


class MaxPool2dOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("kernel", c_int64 * 2), ("stride", c_int64 * 2),
                ("padding", c_int64 * 2), ("dilation", c_int64 * 2)]


class PrintOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("precision", c_int), ("threshold", c_size_t), ("edge_items", c_size_t),
                ("line_width", c_size_t)]


class Figure(ctypes.Structure):
    _fields_ = [("current", c_uint64), ("peak", c_uint64), ("total", c_uint64)]


class MemoryStats(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("requested_bytes", Figure), ("in_use_bytes", Figure),
                ("cached_bytes", Figure), ("reserved_bytes", Figure), ("blocks", Figure), ("allocations", c_uint64),
                ("frees", c_uint64), ("failed_allocations", c_uint64), ("retries", c_uint64),
                ("device_waits", c_uint64), ("largest_free_block", c_uint64), ("histogram", c_uint64 * 48),
                ("is_graph_mode", c_uint64)]


class DeviceProperties(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("name", ctypes.c_char * 128), ("memory_total", c_uint64),
                ("memory_free", c_uint64), ("alignment", c_size_t), ("maximum_alignment", c_size_t),
                ("granule", c_size_t), ("compute_units", ctypes.c_uint32), ("features", ctypes.c_uint32),
                ("memory_kinds", ctypes.c_uint32)]


class BackendInfo(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("name", text), ("type", c_int), ("device_count", c_int),
                ("is_available", c_int), ("reason", text), ("shared_object", text)]


BackendVisitor = ctypes.CFUNCTYPE(c_int, pointer, reference(BackendInfo))


def _candidates():
    named = os.environ.get("TARN_LIBRARY")
    if named:
        return [named]
    beside = sorted(glob.glob(os.path.join(os.path.dirname(os.path.abspath(__file__)), "libtarn.so*")))
    known = ctypes.util.find_library("tarn")
    return beside + [name for name in (known, "libtarn.so.0", "libtarn.so") if name]


def _open():
    reasons = []
    for candidate in _candidates():
        try:
            return ctypes.CDLL(candidate), candidate
        except OSError as error:
            reasons.append(str(error))
    raise ImportError("libtarn is not there: set TARN_LIBRARY to its path, put it into the folder of this package, or "
                      "install it where the system's loader looks. Tried: " + "; ".join(reasons))


_library, _path = _open()


def library_path():
    """The name or path that libtarn was loaded by."""
    return _path


_library.tarn_last_error.restype = text
_library.tarn_last_error.argtypes = []


def _raise_failure(status, function, arguments):
    if status != 0:
        raise errors.for_status(status, _library.tarn_last_error().decode("utf-8", "replace"))
    return status


def _missing(name):
    def function(*arguments):
        raise errors.NotSupported("%s has no %s: it is older than this package" % (_path, name))
    return function


def _value(name, result, *arguments):
    function = getattr(_library, name, None)
    if function is None:
        return _missing(name)
    function.restype, function.argtypes = result, list(arguments)
    return function


def _call(name, *arguments):
    function = _value(name, c_int, *arguments)
    if isinstance(function, ctypes._CFuncPtr):
        function.errcheck = _raise_failure
    return function


out = reference(pointer)
shape, options, dims = reference(Shape), reference(OperationOptions), reference(c_int)

tarn_version = _value("tarn_version", text)

device_open = _call("tarn_device_open", text, out)
device_retain = _value("tarn_device_retain", pointer, pointer)
device_release = _call("tarn_device_release", pointer)
device_name = _value("tarn_device_name", text, pointer)
device_type_of = _value("tarn_device_type_of", c_int, pointer)
device_properties_get = _call("tarn_device_properties_get", pointer, reference(DeviceProperties))
device_synchronize = _call("tarn_device_synchronize", pointer)
device_supports = _value("tarn_device_supports", c_int, pointer, c_int, c_int)
backend_each = _call("tarn_backend_each", BackendVisitor, pointer)
backend_load = _call("tarn_backend_load", text)

stream_create = _call("tarn_stream_create", pointer, out)
stream_release = _call("tarn_stream_release", pointer)
stream_device = _value("tarn_stream_device", pointer, pointer)
stream_synchronize = _call("tarn_stream_synchronize", pointer)
stream_record = _call("tarn_stream_record", pointer, out)
stream_wait = _call("tarn_stream_wait", pointer, pointer)
event_release = _call("tarn_event_release", pointer)

allocator_create = _call("tarn_allocator_create", pointer, text, out)
allocator_retain = _value("tarn_allocator_retain", pointer, pointer)
allocator_release = _call("tarn_allocator_release", pointer)
allocator_device = _value("tarn_allocator_device", pointer, pointer)
allocator_spec = _value("tarn_allocator_spec", text, pointer)
allocator_stats = _call("tarn_allocator_stats", pointer, reference(MemoryStats))
allocator_cache_size = _value("tarn_allocator_cache_size", c_size_t, pointer)
allocator_allocated_size = _value("tarn_allocator_allocated_size", c_size_t, pointer)
allocator_empty_cache = _call("tarn_allocator_empty_cache", pointer)
allocator_reset_peaks = _call("tarn_allocator_reset_peaks", pointer)
allocator_shut_down = _call("tarn_allocator_shut_down", pointer)
allocator_set_limit = _call("tarn_allocator_set_limit", pointer, c_size_t)
allocator_check = _call("tarn_allocator_check", pointer)

element_size = _value("tarn_element_size", c_size_t, c_int)
element_name = _value("tarn_element_name", text, c_int)
element_promote = _value("tarn_element_promote", c_int, c_int, c_int)
operation_name = _value("tarn_operation_name", text, c_int)

tensor_empty = _call("tarn_tensor_empty", pointer, shape, c_int, pointer, out)
tensor_zeros = _call("tarn_tensor_zeros", pointer, shape, c_int, pointer, out)
tensor_full = _call("tarn_tensor_full", pointer, shape, c_int, Scalar, pointer, out)
tensor_from_data = _call("tarn_tensor_from_data", pointer, shape, c_int, pointer, pointer, out)
tensor_arange = _call("tarn_tensor_arange", pointer, Scalar, Scalar, Scalar, c_int, pointer, out)
tensor_random_uniform = _call(
    "tarn_tensor_random_uniform", pointer, shape, c_int, c_uint64, c_double, c_double, pointer, out)
tensor_random_normal = _call(
    "tarn_tensor_random_normal", pointer, shape, c_int, c_uint64, c_double, c_double, pointer, out)
tensor_release = _call("tarn_tensor_release", pointer)
tensor_shape = _value("tarn_tensor_shape", reference(Shape), pointer)
tensor_strides = _value("tarn_tensor_strides", reference(c_int64), pointer)
tensor_type = _value("tarn_tensor_type", c_int, pointer)
tensor_elements = _value("tarn_tensor_elements", c_size_t, pointer)
tensor_bytes = _value("tarn_tensor_bytes", c_size_t, pointer)
tensor_device = _value("tarn_tensor_device", pointer, pointer)
tensor_allocator = _value("tarn_tensor_allocator", pointer, pointer)
tensor_data = _value("tarn_tensor_data", pointer, pointer)
tensor_is_contiguous = _value("tarn_tensor_is_contiguous", c_int, pointer)
tensor_is_read_only = _value("tarn_tensor_is_read_only", c_int, pointer)
tensor_slice = _call("tarn_tensor_slice", pointer, c_int, c_int64, c_int64, c_int64, out)
tensor_transpose = _call("tarn_tensor_transpose", pointer, dims, out)
tensor_view = _call("tarn_tensor_view", pointer, reference(c_int64), c_size_t, out)
tensor_reshape = _call("tarn_tensor_reshape", pointer, reference(c_int64), c_size_t, pointer, out)
tensor_broadcast_to = _call("tarn_tensor_broadcast_to", pointer, shape, out)
tensor_copy = _call("tarn_tensor_copy", pointer, pointer, pointer)
tensor_fill = _call("tarn_tensor_fill", pointer, Scalar, pointer)
tensor_contiguous = _call("tarn_tensor_contiguous", pointer, pointer, out)
tensor_cast = _call("tarn_tensor_cast", pointer, c_int, pointer, out)
tensor_to = _call("tarn_tensor_to", pointer, pointer, pointer, out)
tensor_read = _call("tarn_tensor_read", pointer, pointer, pointer, c_size_t)
tensor_item = _call("tarn_tensor_item", pointer, pointer, reference(Scalar))
tensor_to_string = _call(
    "tarn_tensor_to_string", pointer, reference(PrintOptions), pointer, ctypes.c_char_p, c_size_t, reference(c_size_t))
tensor_save = _call("tarn_tensor_save", pointer, text, pointer)
tensor_load = _call("tarn_tensor_load", pointer, text, pointer, out)

unary = _call("tarn_unary", c_int, pointer, options, out)
binary = _call("tarn_binary", c_int, pointer, pointer, options, out)
binary_scalar = _call("tarn_binary_scalar", c_int, pointer, Scalar, options, out)
scalar_binary = _call("tarn_scalar_binary", c_int, Scalar, pointer, options, out)
select = _call("tarn_select", pointer, pointer, pointer, options, out)
reduce = _call("tarn_reduce", c_int, pointer, dims, c_size_t, c_int, options, out)
matmul = _call("tarn_matmul", pointer, pointer, options, out)
linear = _call("tarn_linear", pointer, pointer, pointer, c_int, options, out)
conv2d = _call("tarn_conv2d", pointer, pointer, pointer, reference(Conv2dOptions), options, out)
max_pool2d = _call("tarn_max_pool2d", pointer, reference(MaxPool2dOptions), options, out)
softmax = _call("tarn_softmax", pointer, c_int, options, out)
layer_norm = _call("tarn_layer_norm", pointer, c_size_t, pointer, pointer, c_double, options, out)
gather = _call("tarn_gather", pointer, pointer, c_int, options, out)

tensor_to_dlpack = _call("tarn_tensor_to_dlpack", pointer, out)
tensor_to_dlpack_versioned = _call("tarn_tensor_to_dlpack_versioned", pointer, c_int, out)
tensor_as_dlpack = _call("tarn_tensor_as_dlpack", pointer, pointer)
tensor_from_dlpack = _call("tarn_tensor_from_dlpack", pointer, out)
tensor_from_dlpack_versioned = _call("tarn_tensor_from_dlpack_versioned", pointer, out)
python_attach = _call("tarn_python_attach", pointer, out)
python_end_capsule = _library.tarn_python_end_capsule


def version():
    return tarn_version().decode()


def made_by(function, *arguments):
    """Calls a function whose last parameter is the place for a handle, and returns the handle."""
    place = pointer()
    function(*arguments, ctypes.byref(place))
    return place.value
