"""Elements in Python's own hands: buffers and nested lists on the way in, nested lists on the way out."""

import struct

from .element_types import bool_, f32, f64, i64, of_format
from .scalars import is_number, scalar

_FORMATS = {"f16": "e", "f32": "f", "f64": "d", "i8": "b", "u8": "B", "i16": "h", "i32": "i", "i64": "q", "bool": "?"}


def _nest(data):
    """The shape of nested lists and their numbers in row-major order. ValueError where they are ragged."""
    if is_number(data):
        return (), [data]
    if not isinstance(data, (list, tuple, range)):
        raise TypeError("numbers, lists of them or a buffer are wanted, not %s" % type(data).__name__)
    inner, numbers = (), []
    for place, item in enumerate(data):
        shape, found = _nest(item)
        if place > 0 and shape != inner:
            raise ValueError("lists of different lengths: %r beside %r" % (shape, inner))
        inner = shape
        numbers += found
    return (len(data),) + inner, numbers


def _type_of(numbers):
    kinds = {scalar(number).kind for number in numbers}
    return (bool_, i64, f32)[max(kinds)] if kinds else f32


def _pack_buffer(data):
    with memoryview(data) as seen:
        kind = of_format(seen.format)
        if kind is None:
            raise TypeError("a buffer of format %r has elements that Tarn lacks" % seen.format)
        return tuple(seen.shape), kind, seen.tobytes()


def pack(data, wanted):
    """Shape, element type and bytes of data in row-major order. Lists are packed so that `wanted`, if any, loses nothing."""
    try:
        memoryview(data).release()
    except TypeError:
        pass
    else:
        return _pack_buffer(data)
    shape, numbers = _nest(data)
    kind = _type_of(numbers)
    if kind is f32 and wanted is not None:
        kind = f64
    return shape, kind, struct.pack("=%d%s" % (len(numbers), _FORMATS[kind.name]), *numbers)


def unpack(data, kind, shape):
    """Nested lists of bytes in row-major order."""
    numbers = list(struct.unpack("=%d%s" % (len(data) // kind.size, _FORMATS[kind.name]), data))
    for place in range(len(shape) - 1, 0, -1):
        step, count = shape[place], 1
        for dim in shape[:place]:
            count *= dim
        numbers = [numbers[i * step:(i + 1) * step] for i in range(count)]
    return numbers if shape else numbers[0]
