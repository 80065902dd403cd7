"""Numbers with the kind that they are written in: True, 2 and 2.0 promote differently."""

import numbers

from . import library

_BOOL, _INTEGER, _FLOAT = range(3)


def is_number(thing):
    return isinstance(thing, numbers.Real)


def scalar(thing):
    """A number as libtarn takes it. OverflowError for an integer beyond 64 bits."""
    if isinstance(thing, bool) or type(thing).__name__ in ("bool_", "bool"):
        return library.Scalar(_BOOL, 0.0, bool(thing))
    if isinstance(thing, numbers.Integral):
        if not -2**63 <= thing < 2**63:
            raise OverflowError("%d does not fit into 64 bits" % thing)
        return library.Scalar(_INTEGER, 0.0, int(thing))
    if isinstance(thing, numbers.Real):
        return library.Scalar(_FLOAT, float(thing), 0)
    raise TypeError("a number is wanted, not %s" % type(thing).__name__)


def value_of(read):
    """The number that libtarn gave."""
    if read.kind == _FLOAT:
        return read.floating
    return bool(read.integer) if read.kind == _BOOL else read.integer
