"""Tensor memory: devices, allocators and tensors of libtarn, exchanged with NumPy and PyTorch without copying.

    import tarn, numpy
    x = tarn.from_dlpack(numpy.arange(6.0))
    y = tarn.relu(x * 2 - 3)
    print(y, numpy.from_dlpack(y))
"""

from .allocators import Allocator, default_allocator, set_default_allocator
from .devices import Backend, Device, Stream, backends
from .dlpack import from_dlpack
from .element_types import (
    ElementType, bf16, bool_, f16, f32, f64, i8, i16, i32, i64, promote, u8,
)
from .errors import (
    AlreadyExists, Busy, CorruptData, DeviceLost, Error, Internal, InvalidArgument, InvalidState, InputOutputError,
    LimitExceeded, NotFound, NotSupported, OutOfMemory, ShutDown, Unavailable,
)
from .library import library_path, version
from .operations import (
    add, binary, conv2d, cos, divide, equal, exp, gather, layer_norm, less, less_equal, linear, log, matmul, max,
    max_pool2d, maximum, mean, min, minimum, multiply, neg, pow, prod, reduce, relu, select, sigmoid, sin, softmax,
    sqrt, subtract, sum, supports, tanh, unary,
)
from .tensors import (
    Tensor, arange, empty, full, load, random_normal, random_uniform, tensor, zeros,
)

__version__ = version()
