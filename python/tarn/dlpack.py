"""Exchange with other libraries by DLPack, without copying.

Capsules hold the structures of DLPack on their way. A capsule that nobody took is emptied by its destructor, which is C of libtarn's, since
Python may be in the middle of an exception by then; so are the functions for callers in C, which use no capsules (tarn/python.h).
"""

import ctypes

from . import errors, library

_CPU = 1, 0
_NEWEST = 1, 3
_PLAIN, _PLAIN_USED = b"dltensor", b"used_dltensor"
_VERSIONED, _VERSIONED_USED = b"dltensor_versioned", b"used_dltensor_versioned"
_EXCHANGE = b"dlpack_exchange_api"
_ATTRIBUTE = b"_pointer"


class _Described(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_number", ctypes.c_int32),
                ("rank", ctypes.c_int32), ("sort", ctypes.c_uint8), ("bits", ctypes.c_uint8),
                ("lanes", ctypes.c_uint16), ("dims", ctypes.c_void_p), ("strides", ctypes.c_void_p),
                ("byte_offset", ctypes.c_uint64)]


class _Managed(ctypes.Structure):
    _fields_ = [("described", _Described), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p)]


class _Versioned(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32 * 2), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p),
                ("flags", ctypes.c_uint64), ("described", _Described)]


_FUNCTIONS = (
    ("capsule_is_valid", "PyCapsule_IsValid"), ("capsule_get_pointer", "PyCapsule_GetPointer"),
    ("object_get_attribute", "PyObject_GetAttrString"), ("object_release", "Py_DecRef"),
    ("integer_as_pointer", "PyLong_AsVoidPtr"), ("call", "PyObject_CallFunction"),
    ("error_occurred", "PyErr_Occurred"), ("error_set", "PyErr_SetString"))


class _Python(ctypes.Structure):
    _fields_ = ([("struct_size", ctypes.c_size_t)] + [(name, ctypes.c_void_p) for name, _ in _FUNCTIONS]
                + [("error", ctypes.c_void_p), ("make_tensor", ctypes.c_void_p), ("attribute", ctypes.c_char_p)])


def _python_function(name, result, *arguments):
    return ctypes.PYFUNCTYPE(result, *arguments)((name, ctypes.pythonapi))


_capsule_new = _python_function(
    "PyCapsule_New", ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
_capsule_is_valid = _python_function("PyCapsule_IsValid", ctypes.c_int, ctypes.py_object, ctypes.c_char_p)
_capsule_get_pointer = _python_function("PyCapsule_GetPointer", ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
_capsule_set_name = _python_function("PyCapsule_SetName", ctypes.c_int, ctypes.py_object, ctypes.c_char_p)


def _address_of(function):
    return ctypes.cast(function, ctypes.c_void_p).value


_end_capsule = _address_of(library.python_end_capsule)


def _seal(pointer, form, name):
    """A capsule for a structure; its deleter is called where there can be none."""
    try:
        return _capsule_new(pointer, name, _end_capsule)
    except BaseException:
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(form.from_address(pointer).deleter)(pointer)
        raise


class DLPackExchange:
    """What makes a class of handles of tensors known to other libraries."""

    __slots__ = ()

    def __dlpack_device__(self):
        """DLPack's numbers of the device: its type, and which one of these."""
        described = _Described()
        try:
            library.tensor_as_dlpack(self.handle, ctypes.byref(described))
        except errors.NotSupported as error:
            raise BufferError(str(error)) from error
        return described.device_type, described.device_number

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        """A capsule for another library. Work on the tensor has finished by then, unless `stream` is -1."""
        device = self.__dlpack_device__()
        if device[0] == _CPU[0] and stream not in (None, -1):
            raise ValueError("the memory of a cpu device has no streams that others know; stream=%r" % (stream,))
        lent = self
        if dl_device is not None and tuple(dl_device) != device:
            if tuple(dl_device) != _CPU or copy is False:
                raise BufferError("the tensor is on DLPack's device %r, and %r is wanted%s" % (
                    device, tuple(dl_device), " without a copy" if copy is False else ""))
            lent = self.to("cpu")
        elif copy:
            lent = self.copy()
        if stream != -1:
            library.device_synchronize(library.tensor_device(lent.handle))
        is_versioned = max_version is not None and max_version[0] >= 1
        try:
            if is_versioned:
                pointer = library.made_by(library.tensor_to_dlpack_versioned, lent.handle, lent is not self)
                return _seal(pointer, _Versioned, _VERSIONED)
            pointer = library.made_by(library.tensor_to_dlpack, lent.handle)
            return _seal(pointer, _Managed, _PLAIN)
        except errors.NotSupported as error:
            raise BufferError(str(error)) from error


def attach(tensor_class):
    """Gives the class its exchange table."""
    def make_tensor(pointer):
        return tensor_class._own(pointer)

    functions = {name: _address_of(getattr(ctypes.pythonapi, known)) for name, known in _FUNCTIONS}
    read = _Python(struct_size=ctypes.sizeof(_Python), error=id(BufferError), make_tensor=id(make_tensor),
                   attribute=_ATTRIBUTE, **functions)
    tensor_class._kept_for_exchange = make_tensor, _ATTRIBUTE
    table = library.made_by(library.python_attach, ctypes.byref(read))
    tensor_class.__dlpack_c_exchange_api__ = _capsule_new(table, _EXCHANGE, None)
    tensor_class._of_dlpack = classmethod(_open)


def _open(tensor_class, capsule):
    """The tensor of a capsule, which is used up. A capsule that is refused stays as it was."""
    for name, used, function in ((_VERSIONED, _VERSIONED_USED, library.tensor_from_dlpack_versioned),
                                 (_PLAIN, _PLAIN_USED, library.tensor_from_dlpack)):
        if _capsule_is_valid(capsule, name):
            made = tensor_class._own(library.made_by(function, _capsule_get_pointer(capsule, name)))
            _capsule_set_name(capsule, used)
            return made
    raise ValueError("this capsule holds no DLPack tensor, or was used before")


def _capsule_of(source):
    try:
        return source.__dlpack__(max_version=_NEWEST)
    except TypeError:
        pass  # It is from before DLPack 1.0, and knows no versions.
    return source.__dlpack__()


def from_dlpack(source, *, device=None, copy=None):
    """A tensor of the same memory as `source`: any object with `__dlpack__`, or a capsule.

    `device` is a name; on another device than the source's the tensor is a copy. `copy` True makes one always, False never.
    """
    from .tensors import Tensor
    capsule = _capsule_of(source) if hasattr(source, "__dlpack__") else source
    if type(capsule).__name__ != "PyCapsule":
        raise TypeError("%s has no __dlpack__" % type(source).__name__)
    tensor = Tensor._of_dlpack(capsule)
    if device is not None and tensor.device.name != device:
        if copy is False:
            raise BufferError("the tensor is on %s, and %s is wanted without a copy" % (tensor.device.name, device))
        return tensor.to(device)
    return tensor.copy() if copy else tensor
