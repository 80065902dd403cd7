"""What all objects of the package share: a handle of libtarn, released once.

The handle goes when `release` is called, when the `with` block ends, or when Python collects the object, whichever comes first. Objects that
others stand on may be released before them: libtarn keeps what is needed.
"""

from . import errors


class Handle:
    __slots__ = ("_pointer", "__weakref__")
    _kind = "object"
    _release = None

    def __init__(self, pointer):
        self._pointer = pointer

    @classmethod
    def _own(cls, pointer):
        """An object for a handle of which the caller has a reference to give away."""
        made = cls.__new__(cls)
        Handle.__init__(made, pointer)
        return made

    @property
    def handle(self):
        """The pointer, for other users of libtarn in this process. The object keeps its reference."""
        if not self._pointer:
            raise errors.InvalidArgument("this %s was released" % self._kind)
        return self._pointer

    @property
    def is_released(self):
        return not self._pointer

    def release(self):
        """Gives the handle back. Once is enough; again does nothing."""
        pointer, self._pointer = self._pointer, 0
        if pointer:
            type(self)._release(pointer)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.release()

    def __del__(self):
        # An object whose making failed has no handle.
        if getattr(self, "_pointer", 0):
            self.release()


def pointer_of(wanted, thing):
    """The handle of an object that may be None, which libtarn takes for its default."""
    if thing is None:
        return None
    if not isinstance(thing, wanted):
        raise TypeError("a %s is wanted, not %s" % (wanted._kind, type(thing).__name__))
    return thing.handle
