"""Element types, under their own names and under those of NumPy, PyTorch and Python."""

import enum

from . import library


class ElementType(enum.IntEnum):
    f32 = 0
    f16 = 1
    bf16 = 2
    f64 = 3
    i8 = 4
    u8 = 5
    i16 = 6
    i32 = 7
    i64 = 8
    bool = 9

    @property
    def size(self):
        """Bytes of one element."""
        return library.element_size(self)

    @property
    def is_floating(self):
        return self <= ElementType.f64

    @property
    def numpy_name(self):
        """What NumPy calls the type; None for bf16, which it lacks."""
        return _NUMPY_NAMES[self]

    def __str__(self):
        return self.name

    def __repr__(self):
        return "tarn." + ("bool_" if self is ElementType.bool else self.name)


f32, f16, bf16, f64, i8, u8, i16, i32, i64, bool_ = ElementType

_NUMPY_NAMES = ("float32", "float16", None, "float64", "int8", "uint8", "int16", "int32", "int64", "bool")
_BY_NAME = {kind.name: kind for kind in ElementType}
_BY_NAME.update((name, ElementType(place)) for place, name in enumerate(_NUMPY_NAMES) if name)
_BY_NAME.update({"bfloat16": bf16, "half": f16, "float": f32, "double": f64})
_BY_CLASS = {float: f32, int: i64, bool: bool_}

# Formats of Python's buffers, in this machine's own order and sizes.
_BY_FORMAT = {"f": f32, "e": f16, "d": f64, "b": i8, "B": u8, "h": i16, "i": i32, "q": i64, "l": i64, "?": bool_}


def as_element_type(thing):
    """The element type that a name, a Python class, or a type of NumPy or PyTorch means."""
    if isinstance(thing, ElementType):
        return thing
    known = _BY_CLASS.get(thing) if isinstance(thing, type) else None
    if known is None:
        name = thing if isinstance(thing, str) else getattr(thing, "name", None) or getattr(thing, "__name__", str(thing))
        known = _BY_NAME.get(name.rsplit(".", 1)[-1].rstrip("_"))
    if known is None:
        raise TypeError("%r is no type of elements; there are %s" % (thing, ", ".join(k.name for k in ElementType)))
    return known


def of_format(text):
    """The element type of a buffer's format, or None."""
    return _BY_FORMAT.get(text[1:] if text[:1] in "@=" else text)


def promote(a, b):
    """The type that operands of two types are promoted to."""
    return ElementType(library.element_promote(as_element_type(a), as_element_type(b)))
