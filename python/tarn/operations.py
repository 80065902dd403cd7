"""Operations on tensors, as functions. Each takes `out`, a tensor that gets the result, `stream` and `allocator`, which the result's memory comes
from; tensors and numbers mix as in PyTorch. Where the result is the only memory that is needed, operators say the same: x * 2 + y.
"""

import builtins
import ctypes
import enum

from . import library
from .allocators import Allocator, default_allocator
from .devices import Device, Stream, as_device
from .element_types import as_element_type
from .handles import pointer_of
from .scalars import is_number, scalar


class Operation(enum.IntEnum):
    """The numbers of libtarn's operations (tarn/backend_operations.h)."""

    (COPY, NEG, EXP, LOG, SQRT, SIN, COS, RELU, SIGMOID, TANH, ADD, SUBTRACT, MULTIPLY, DIVIDE, POW, MAXIMUM, MINIMUM,
     EQUAL, LESS, LESS_EQUAL, RANDOM, SELECT, SUM, MEAN, PROD, MAX, MIN, MATMUL, CONV2D, MAX_POOL2D, SOFTMAX,
     LAYER_NORM, GATHER) = range(33)


_ACTIVATIONS = {None: Operation.COPY, "relu": Operation.RELU, "sigmoid": Operation.SIGMOID, "tanh": Operation.TANH}


def _tensor_class():
    from .tensors import Tensor
    return Tensor


def _source(operands, allocator):
    """The allocator of a result: what was named, None for libtarn to take an operand's, or the default one where all are lent by others."""
    if allocator is not None:
        return pointer_of(Allocator, allocator)
    if any(library.tensor_allocator(operand) for operand in operands):
        return None
    default = default_allocator().handle
    return default if library.allocator_device(default) == library.tensor_device(operands[0]) else None


def _run(function, operands, *arguments, out=None, stream=None, allocator=None):
    """Calls an operation, whose last parameters are options and the place of the result, and returns the result."""
    tensor = _tensor_class()
    options = library.OperationOptions(
        struct_size=ctypes.sizeof(library.OperationOptions), stream=pointer_of(Stream, stream),
        allocator=_source(operands, allocator) if out is None else None)
    place = ctypes.c_void_p(pointer_of(tensor, out))
    function(*arguments, ctypes.byref(options), ctypes.byref(place))
    return tensor._own(place.value) if out is None else out


def _operand(thing):
    """The handle of a tensor that an operation needs. The caller keeps the tensor until the call has returned."""
    if thing is None:
        raise TypeError("an operation was given None for a tensor")
    return pointer_of(_tensor_class(), thing)


def _operation(name):
    return name if isinstance(name, Operation) else Operation[name.upper()]


def supports(operation, element_type, device="cpu"):
    """Whether the device executes the operation, by name, on elements of the type."""
    with as_device(device) as opened:
        return bool(library.device_supports(opened.handle, _operation(operation), as_element_type(element_type)))


def unary(operation, x, **options):
    """An operation of one operand by name, such as "exp"."""
    operand = _operand(x)
    return _run(library.unary, (operand,), _operation(operation), operand, **options)


def binary(operation, a, b, **options):
    """An operation of two operands by name, such as "add"; one of them may be a number."""
    operation = _operation(operation)
    if is_number(b):
        operand = _operand(a)
        return _run(library.binary_scalar, (operand,), operation, operand, scalar(b), **options)
    if is_number(a):
        operand = _operand(b)
        return _run(library.scalar_binary, (operand,), operation, scalar(a), operand, **options)
    operands = _operand(a), _operand(b)
    return _run(library.binary, operands, operation, *operands, **options)


def reduce(operation, x, dims=None, keepdims=False, **options):
    """A reduction by name over the dimensions in `dims`: one number, several, or None for all."""
    wanted = () if dims is None else (dims,) if isinstance(dims, int) else tuple(dims)
    if dims is not None and not wanted:
        raise ValueError("no dimension is named; None means all of them")
    listed = (ctypes.c_int * builtins.max(len(wanted), 1))(*wanted)
    operand = _operand(x)
    return _run(library.reduce, (operand,), _operation(operation), operand, listed, len(wanted), bool(keepdims),
                **options)


def _make_unary(operation):
    def function(x, **options):
        return unary(operation, x, **options)
    function.__doc__ = "%s of each element." % operation.name.lower()
    return function


def _make_binary(operation):
    def function(a, b, **options):
        return binary(operation, a, b, **options)
    function.__doc__ = "%s of elements at one place, broadcast." % operation.name.lower()
    return function


def _make_reduction(operation):
    def function(x, dims=None, keepdims=False, **options):
        return reduce(operation, x, dims, keepdims, **options)
    function.__doc__ = "%s over dimensions, all of them by default." % operation.name.lower()
    return function


neg, exp, log, sqrt, sin, cos, relu, sigmoid, tanh = map(_make_unary, (
    Operation.NEG, Operation.EXP, Operation.LOG, Operation.SQRT, Operation.SIN, Operation.COS, Operation.RELU,
    Operation.SIGMOID, Operation.TANH))
add, subtract, multiply, divide, pow, maximum, minimum, equal, less, less_equal = map(_make_binary, (
    Operation.ADD, Operation.SUBTRACT, Operation.MULTIPLY, Operation.DIVIDE, Operation.POW, Operation.MAXIMUM,
    Operation.MINIMUM, Operation.EQUAL, Operation.LESS, Operation.LESS_EQUAL))
sum, mean, prod, max, min = map(_make_reduction, (
    Operation.SUM, Operation.MEAN, Operation.PROD, Operation.MAX, Operation.MIN))


def select(condition, a, b, **options):
    """`a` where `condition` is true, else `b`."""
    operands = _operand(condition), _operand(a), _operand(b)
    return _run(library.select, operands, *operands, **options)


def matmul(a, b, **options):
    """The matrix product, as NumPy's."""
    operands = _operand(a), _operand(b)
    return _run(library.matmul, operands, *operands, **options)


def linear(a, b, bias=None, activation=None, **options):
    """activation(a @ b + bias); the activation is None, "relu", "sigmoid" or "tanh"."""
    operands = _operand(a), _operand(b)
    return _run(library.linear, operands, *operands, pointer_of(_tensor_class(), bias), _ACTIVATIONS[activation],
                **options)


def _pair(value):
    return (ctypes.c_int64 * 2)(*((value, value) if isinstance(value, int) else value))


def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, activation=None, **options):
    """Correlation of images, [batch, channels, height, width]. Pairs are of height and width."""
    operands = _operand(x), _operand(weight)
    read = library.Conv2dOptions(
        struct_size=ctypes.sizeof(library.Conv2dOptions), stride=_pair(stride), padding=_pair(padding),
        dilation=_pair(dilation), groups=groups, activation=_ACTIVATIONS[activation])
    return _run(library.conv2d, operands, *operands, pointer_of(_tensor_class(), bias), ctypes.byref(read), **options)


def max_pool2d(x, kernel, stride=None, padding=0, dilation=1, **options):
    """The greatest of each window of images; `stride` None is the kernel's size."""
    read = library.MaxPool2dOptions(
        struct_size=ctypes.sizeof(library.MaxPool2dOptions), kernel=_pair(kernel),
        stride=_pair(0 if stride is None else stride), padding=_pair(padding), dilation=_pair(dilation))
    operand = _operand(x)
    return _run(library.max_pool2d, (operand,), operand, ctypes.byref(read), **options)


def softmax(x, dim=-1, **options):
    """exp(x) in shares of its sum along a dimension."""
    operand = _operand(x)
    return _run(library.softmax, (operand,), operand, dim, **options)


def layer_norm(x, normalized_dims=1, weight=None, bias=None, epsilon=1e-5, **options):
    """Each slice of the last dimensions with mean 0 and variance 1, times `weight`, plus `bias`."""
    tensor, operand = _tensor_class(), _operand(x)
    return _run(library.layer_norm, (operand,), operand, normalized_dims, pointer_of(tensor, weight), pointer_of(tensor, bias),
                epsilon, **options)


def gather(x, indices, dim=0, **options):
    """Slices along a dimension by their numbers, an i32 or i64 tensor: NumPy's take."""
    operands = _operand(x), _operand(indices)
    return _run(library.gather, operands, *operands, dim, **options)
