"""What stands between the brackets of x[...], worked out to slices along dimensions and the dimensions that are left."""


def _expand(key, rank):
    """The key as a list with an entry for each dimension, and None where one is added."""
    parts = list(key) if isinstance(key, tuple) else [key]
    used = sum(part is not None and part is not Ellipsis for part in parts)
    gaps = sum(part is Ellipsis for part in parts)
    if used > rank:
        raise IndexError("%d places in a tensor of %d dimensions" % (used, rank))
    if gaps > 1:
        raise IndexError("'...' stands for all other dimensions, once")
    gap = next((place for place, part in enumerate(parts) if part is Ellipsis), len(parts))
    return parts[:gap] + [slice(None)] * (rank - used) + parts[gap + 1:]


def _length(begin, end, step):
    return len(range(begin, end, step))


def place_of(key, shape):
    """(slices, dims): each slice is (dimension, (begin, end, step)), and dims is the shape of the view after them."""
    slices, dims, dim = [], [], 0
    for part in _expand(key, len(shape)):
        if part is None:
            dims.append(1)
            continue
        size = shape[dim]
        if isinstance(part, slice):
            begin, end, step = part.indices(size)
            dims.append(_length(begin, end, step))
            # A place before the first one has a number that does not count from the end.
            place = begin, end if end >= 0 else -size - 1, step
            if part != slice(None):
                slices.append((dim, place if dims[-1] else (0, 0, 1)))
        else:
            number = part.__index__()
            if not -size <= number < size:
                raise IndexError("place %d in a dimension of %d" % (number, size))
            number %= size
            slices.append((dim, (number, number + 1, 1)))
        dim += 1
    return slices, dims
