"""Tensors: making them, seeing them, moving them."""

import ctypes

from . import library, operations
from .allocators import Allocator, default_allocator
from .devices import Device, Stream
from .dlpack import DLPackExchange, attach
from .element_types import ElementType, as_element_type, bf16, bool_, f32, i64
from .handles import Handle, pointer_of
from .host_data import pack, unpack
from .indexing import place_of
from .scalars import is_number, scalar, value_of

Operation = operations.Operation


def _shape(dims):
    dims = (dims,) if isinstance(dims, int) else tuple(dims)
    if len(dims) > library.MAXIMUM_RANK:
        raise ValueError("%d dimensions; there are at most %d" % (len(dims), library.MAXIMUM_RANK))
    return library.Shape(len(dims), (ctypes.c_int64 * library.MAXIMUM_RANK)(*dims))


def _numbers(values):
    return (ctypes.c_int64 * max(len(values), 1))(*values)


def _forward(operation):
    return lambda self, other: self._combine(operation, self, other)


def _backward(operation):
    return lambda self, other: self._combine(operation, other, self)


def _in_place(operation):
    return lambda self, other: self._combine(operation, self, other, out=self)


def _function(name):
    function = getattr(operations, name)

    def method(self, *arguments, **options):
        return function(self, *arguments, **options)
    method.__name__, method.__doc__ = name, function.__doc__
    return method


class Tensor(DLPackExchange, Handle):
    """Elements of one type in the memory of a device, seen through dimensions and strides.

    `tensor()`, `zeros()`, `from_dlpack()` and the like make them. Slices, transposes and views share the memory of what they were made of, which
    lives as long as one of them does.
    """

    __slots__ = ()
    _kind = "tensor"
    _release = library.tensor_release
    __hash__ = None  # as equality is of the elements

    def __init__(self):
        raise TypeError("tensors are made by tarn.tensor, tarn.empty, tarn.from_dlpack and others")

    # What it is.

    @property
    def shape(self):
        read = library.tensor_shape(self.handle).contents
        return tuple(read.dims[:read.rank])

    @property
    def strides(self):
        """In elements."""
        return tuple(library.tensor_strides(self.handle)[:self.ndim])

    @property
    def ndim(self):
        return library.tensor_shape(self.handle).contents.rank

    @property
    def dtype(self):
        return ElementType(library.tensor_type(self.handle))

    @property
    def size(self):
        """How many elements."""
        return library.tensor_elements(self.handle)

    @property
    def nbytes(self):
        return library.tensor_bytes(self.handle)

    @property
    def device(self):
        return Device._borrow(library.tensor_device(self.handle))

    @property
    def allocator(self):
        """Where the memory comes from; None for memory that others lend."""
        pointer = library.tensor_allocator(self.handle)
        return Allocator._borrow(pointer) if pointer else None

    @property
    def address(self):
        """Of the first element, on the device; 0 without elements."""
        return library.tensor_data(self.handle) or 0

    @property
    def is_contiguous(self):
        return bool(library.tensor_is_contiguous(self.handle))

    @property
    def is_read_only(self):
        return bool(library.tensor_is_read_only(self.handle))

    # Views.

    def transpose(self, *order):
        """Dimensions in another order, all reversed by default."""
        order = order[0] if len(order) == 1 and not isinstance(order[0], int) else order
        if order and len(order) != self.ndim:
            raise ValueError("%d places for %d dimensions" % (len(order), self.ndim))
        listed = (ctypes.c_int * len(order))(*order) if order else None
        return self._own(library.made_by(library.tensor_transpose, self.handle, listed))

    @property
    def T(self):
        return self.transpose()

    def view(self, *dims):
        """Another shape of the same memory; one dimension may be -1. NotSupported where that takes a copy."""
        dims = dims[0] if len(dims) == 1 and not isinstance(dims[0], int) else dims
        return self._own(library.made_by(library.tensor_view, self.handle, _numbers(dims), len(dims)))

    def reshape(self, *dims, stream=None):
        """Another shape: a view where that can be, else a copy."""
        dims = dims[0] if len(dims) == 1 and not isinstance(dims[0], int) else dims
        return self._own(library.made_by(
            library.tensor_reshape, self.handle, _numbers(dims), len(dims), pointer_of(Stream, stream)))

    def broadcast_to(self, *dims):
        dims = dims[0] if len(dims) == 1 and not isinstance(dims[0], int) else dims
        return self._own(library.made_by(library.tensor_broadcast_to, self.handle, ctypes.byref(_shape(dims))))

    def _slice(self, dim, begin, end, step):
        return self._own(library.made_by(library.tensor_slice, self.handle, dim, begin, end, step))

    def __getitem__(self, key):
        """Numbers, slices, ... and None give a view; a tensor of integers gathers along the first dimension."""
        if isinstance(key, Tensor):
            return operations.gather(self, key)
        slices, dims = place_of(key, self.shape)
        view = self
        for dim, (begin, end, step) in slices:
            view = view._slice(dim, begin, end, step)
        return view.view(dims)

    def __setitem__(self, key, value):
        place = self[key]
        if isinstance(key, Tensor):
            raise TypeError("elements are not set by a tensor of numbers")
        if is_number(value):
            place.fill(value)
        else:
            place.copy_from(value if isinstance(value, Tensor) else tensor(value))

    def __len__(self):
        if self.ndim == 0:
            raise TypeError("a tensor without dimensions has no length")
        return self.shape[0]

    def __iter__(self):
        return (self[place] for place in range(len(self)))

    # Moving elements.

    def fill(self, value, stream=None):
        """Sets every element; returns the tensor."""
        library.tensor_fill(self.handle, scalar(value), pointer_of(Stream, stream))
        return self

    def copy_from(self, source, stream=None):
        """Sets the elements to those of another tensor, broadcast and cast; returns the tensor."""
        library.tensor_copy(self.handle, source.handle, pointer_of(Stream, stream))
        return self

    def copy(self, stream=None, allocator=None):
        """A new tensor with these elements, row-major."""
        made = empty(self.shape, self.dtype, allocator=allocator or self.allocator, stream=stream)
        return made.copy_from(self, stream)

    def contiguous(self, stream=None):
        """The same tensor where its elements lie in row-major order, else a copy."""
        return self._own(library.made_by(library.tensor_contiguous, self.handle, pointer_of(Stream, stream)))

    def cast(self, dtype, stream=None):
        """The same tensor where it has the type, else a copy that is cast."""
        return self._own(library.made_by(
            library.tensor_cast, self.handle, as_element_type(dtype), pointer_of(Stream, stream)))

    def to(self, allocator, stream=None):
        """The tensor on the device of an allocator, or on a device by name: itself where it is there, else a copy."""
        if not isinstance(allocator, Allocator):
            allocator = Allocator(allocator)
        return self._own(library.made_by(
            library.tensor_to, self.handle, allocator.handle, pointer_of(Stream, stream)))

    def item(self, stream=None):
        """The one element, as a number of Python's."""
        read = library.Scalar()
        library.tensor_item(self.handle, pointer_of(Stream, stream), ctypes.byref(read))
        return value_of(read)

    def tobytes(self, stream=None):
        """The elements in row-major order."""
        size = self.nbytes
        held = ctypes.create_string_buffer(max(size, 1))
        library.tensor_read(self.handle, pointer_of(Stream, stream), held, size)
        return held.raw[:size]

    def tolist(self, stream=None):
        """Nested lists of Python's numbers."""
        source = self.cast(f32, stream) if self.dtype is bf16 else self
        return unpack(source.tobytes(stream), source.dtype, source.shape)

    def numpy(self):
        """A NumPy array of the same memory."""
        import numpy
        return numpy.from_dlpack(self)

    def __array__(self, dtype=None, copy=None):
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            if copy is False:
                raise ValueError("another type takes a copy")
            return array.astype(dtype)
        return array.copy() if copy else array

    def save(self, path, stream=None):
        """Writes a file in NumPy's .npy format."""
        library.tensor_save(self.handle, str(path).encode(), pointer_of(Stream, stream))

    # Operators.

    @staticmethod
    def _combine(operation, a, b, **options):
        for side in (a, b):
            if not is_number(side) and not isinstance(side, Tensor):
                return NotImplemented
        return operations.binary(operation, a, b, **options)

    __add__, __radd__, __iadd__ = (make(Operation.ADD) for make in (_forward, _backward, _in_place))
    __sub__, __rsub__, __isub__ = (make(Operation.SUBTRACT) for make in (_forward, _backward, _in_place))
    __mul__, __rmul__, __imul__ = (make(Operation.MULTIPLY) for make in (_forward, _backward, _in_place))
    __truediv__, __rtruediv__, __itruediv__ = (make(Operation.DIVIDE) for make in (_forward, _backward, _in_place))
    __pow__, __rpow__, __ipow__ = (make(Operation.POW) for make in (_forward, _backward, _in_place))
    __eq__ = _forward(Operation.EQUAL)
    __lt__, __gt__ = _forward(Operation.LESS), _backward(Operation.LESS)
    __le__, __ge__ = _forward(Operation.LESS_EQUAL), _backward(Operation.LESS_EQUAL)

    def __ne__(self, other):
        same = self._combine(Operation.EQUAL, self, other)
        return same if same is NotImplemented else operations.binary(Operation.EQUAL, same, False)

    def __matmul__(self, other):
        return operations.matmul(self, other) if isinstance(other, Tensor) else NotImplemented

    def __neg__(self):
        return operations.neg(self)

    def __bool__(self):
        return bool(self.item())

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __index__(self):
        value = self.item()
        if not isinstance(value, int):
            raise TypeError("a tensor of %s is no index" % self.dtype)
        return int(value)

    exp, log, sqrt, sin, cos, relu, sigmoid, tanh, sum, mean, prod, max, min, softmax = map(_function, (
        "exp", "log", "sqrt", "sin", "cos", "relu", "sigmoid", "tanh", "sum", "mean", "prod", "max", "min", "softmax"))

    # Texts.

    def to_string(self, precision=0, threshold=0, edge_items=0, line_width=0, stream=None):
        """What NumPy's str() gives; 0 stands for NumPy's own settings."""
        asked = library.PrintOptions(ctypes.sizeof(library.PrintOptions), precision, threshold, edge_items, line_width)
        length = ctypes.c_size_t()
        arguments = self.handle, ctypes.byref(asked), pointer_of(Stream, stream)
        library.tensor_to_string(*arguments, None, 0, ctypes.byref(length))
        held = ctypes.create_string_buffer(length.value + 1)
        library.tensor_to_string(*arguments, held, len(held), ctypes.byref(length))
        return held.value.decode()

    def __str__(self):
        return self.to_string()

    def __repr__(self):
        if self.is_released:
            return "tarn.Tensor(released)"
        begin = "tarn.Tensor("
        elements = self.to_string().replace("\n", "\n" + " " * len(begin))
        return "%s%s, %s, %s)" % (begin, elements, self.dtype, self.device.name)


attach(Tensor)

# Making tensors. Without an allocator the memory is the default one's.


def _make(function, *arguments, allocator, stream):
    source = (allocator or default_allocator())
    return Tensor._own(library.made_by(
        function, pointer_of(Allocator, source), *arguments, pointer_of(Stream, stream)))


def empty(shape, dtype=f32, allocator=None, stream=None):
    """With whatever the memory holds."""
    return _make(library.tensor_empty, ctypes.byref(_shape(shape)), as_element_type(dtype),
                 allocator=allocator, stream=stream)


def zeros(shape, dtype=f32, allocator=None, stream=None):
    return _make(library.tensor_zeros, ctypes.byref(_shape(shape)), as_element_type(dtype),
                 allocator=allocator, stream=stream)


def full(shape, value, dtype=None, allocator=None, stream=None):
    """Every element `value`; the type follows it where none is given: f32, i64 or bool."""
    kind = _type_of_number(value) if dtype is None else as_element_type(dtype)
    return _make(library.tensor_full, ctypes.byref(_shape(shape)), kind, scalar(value),
                 allocator=allocator, stream=stream)


def _type_of_number(value):
    return (bool_, i64, f32)[scalar(value).kind]


def arange(begin, end=None, step=1, dtype=None, allocator=None, stream=None):
    """begin, begin + step, ... up to before `end`; of one number, from 0 up to before it."""
    if end is None:
        begin, end = 0, begin
    ends = scalar(begin), scalar(end), scalar(step)
    kind = (f32 if any(number.kind == scalar(0.0).kind for number in ends) else i64) if dtype is None \
        else as_element_type(dtype)
    return _make(library.tensor_arange, *ends, kind, allocator=allocator, stream=stream)


def random_uniform(shape, seed, minimum=0.0, maximum=1.0, dtype=f32, allocator=None, stream=None):
    """Uniform in [minimum, maximum); the same seed gives the same numbers everywhere."""
    return _make(library.tensor_random_uniform, ctypes.byref(_shape(shape)), as_element_type(dtype), seed, minimum,
                 maximum, allocator=allocator, stream=stream)


def random_normal(shape, seed, mean=0.0, deviation=1.0, dtype=f32, allocator=None, stream=None):
    return _make(library.tensor_random_normal, ctypes.byref(_shape(shape)), as_element_type(dtype), seed, mean,
                 deviation, allocator=allocator, stream=stream)


def tensor(data, dtype=None, allocator=None, stream=None):
    """A copy of numbers, nested lists of them, anything with a buffer (NumPy's arrays among them), or a tensor."""
    if isinstance(data, Tensor):
        return data.copy(stream, allocator) if dtype is None else data.copy(stream, allocator).cast(dtype, stream)
    wanted = None if dtype is None else as_element_type(dtype)
    shape, kind, packed = pack(data, wanted)
    made = _make(library.tensor_from_data, ctypes.byref(_shape(shape)), kind, packed, allocator=allocator,
                 stream=stream)
    return made if wanted is None else made.cast(wanted, stream)


def load(path, allocator=None, stream=None):
    """Reads a file in NumPy's .npy format."""
    return _make(library.tensor_load, str(path).encode(), allocator=allocator, stream=stream)
