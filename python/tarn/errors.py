"""One exception for each status of libtarn, each with libtarn's sentence, and each also of the built-in kind that it resembles."""


class Error(Exception):
    """A call of libtarn failed. `status` is the name of the status."""

    status = "UNKNOWN"


class InvalidArgument(Error, ValueError):
    status = "INVALID_ARGUMENT"


class InvalidState(Error, RuntimeError):
    status = "INVALID_STATE"


class OutOfMemory(Error, MemoryError):
    status = "OUT_OF_MEMORY"


class LimitExceeded(Error, MemoryError):
    status = "LIMIT_EXCEEDED"


class NotSupported(Error, NotImplementedError):
    status = "NOT_SUPPORTED"


class Unavailable(Error, RuntimeError):
    status = "UNAVAILABLE"


class NotFound(Error, LookupError):
    status = "NOT_FOUND"


class AlreadyExists(Error, RuntimeError):
    status = "ALREADY_EXISTS"


class ShutDown(Error, RuntimeError):
    status = "SHUT_DOWN"


class Busy(Error, RuntimeError):
    status = "BUSY"


class DeviceLost(Error, RuntimeError):
    status = "DEVICE_LOST"


class CorruptData(Error, ValueError):
    status = "CORRUPT_DATA"


class InputOutputError(Error, OSError):
    status = "IO_ERROR"


class Internal(Error, RuntimeError):
    status = "INTERNAL"


_BY_NUMBER = (None, InvalidArgument, InvalidState, OutOfMemory, LimitExceeded, NotSupported, Unavailable, NotFound,
              AlreadyExists, ShutDown, Busy, DeviceLost, CorruptData, InputOutputError, Internal)


def for_status(number, sentence):
    """The exception for a status that is not OK."""
    kind = _BY_NUMBER[number] if 0 < number < len(_BY_NUMBER) else Error
    return kind(sentence)
