"""Exchange by DLPack with NumPy and PyTorch, as they are here, and through the table of functions for callers in C: one memory seen from
both sides, ended once by whoever keeps it longest."""

import contextlib
import ctypes
import gc
import importlib
import io
import os
import re
import sys
import unittest
import weakref

import numpy as np
import tarn


def optional(name):
    """A library that not every machine has; None, with a line that says so."""
    try:
        return importlib.import_module(name)
    except ImportError:
        print("%s is not here: its tests are skipped" % name, file=sys.stderr)
        return None


torch = optional("torch")
tvm_ffi = optional("tvm_ffi")
# From 2.1 on NumPy knows versions, and hands out and takes what may only be read.
is_versioned_numpy = tuple(map(int, np.__version__.split(".")[:2])) >= (2, 1)

# Before, it had no bools in DLPack.
ALL_TYPES = [kind for kind in tarn.ElementType if kind.numpy_name and (is_versioned_numpy or kind != tarn.bool_)]


def live():
    gc.collect()
    return tarn.default_allocator().stats()["blocks"]["current"]


class NumPy(unittest.TestCase):
    def test_arrays_are_seen_where_they_are(self):
        for kind in ALL_TYPES:
            a = np.arange(24).reshape(2, 3, 4).astype(kind.numpy_name)
            for view in (a, a.T, a[:, ::-1], a[1, :, ::2], a[..., 1:2], a[:0], a[1, 1, 1:1]):
                x = tarn.from_dlpack(view)
                self.assertIs(x.dtype, kind)
                self.assertEqual(x.shape, view.shape)
                if view.size:
                    self.assertEqual(x.address, view.ctypes.data)
                    self.assertEqual([s * view.itemsize for s in x.strides], list(view.strides))

    def test_tensors_are_seen_where_they_are(self):
        for kind in ALL_TYPES:
            x = tarn.tensor(np.arange(24).reshape(2, 3, 4).astype(kind.numpy_name))
            for view in (x, x.T, x[:, ::-1], x[1, :, ::2], x[:0]):
                a = np.from_dlpack(view)
                self.assertEqual((a.dtype.name, a.shape), (kind.numpy_name, view.shape))
                if a.size:
                    self.assertEqual(a.ctypes.data, view.address)
                    self.assertEqual(list(a.strides), [s * a.itemsize for s in view.strides])

    def test_writes_are_seen_on_the_other_side(self):
        a = np.zeros((3, 4), np.float32)
        x = tarn.from_dlpack(a)
        a[1, 2] = 5
        self.assertEqual(x[1, 2].item(), 5)
        x[0].fill(7)
        self.assertEqual(a[0].tolist(), [7] * 4)
        b = np.from_dlpack(x)
        a[2, 3] = 9
        self.assertEqual(b[2, 3], 9)

    def test_arrays_outlive_tensors_and_tensors_arrays(self):
        before = live()
        x = tarn.full((100,), 3.0)
        a = np.from_dlpack(x)
        x.release()
        self.assertEqual(live(), before + 1)
        self.assertEqual(a.sum(), 300)
        del a
        self.assertEqual(live(), before)

        class Array(np.ndarray):
            pass
        a = np.arange(5.0).view(Array)
        kept = weakref.ref(a)
        x = tarn.from_dlpack(a)
        del a
        gc.collect()
        self.assertIsNotNone(kept())
        view = x[1:]
        del x
        gc.collect()
        self.assertEqual(view.tolist(), [1, 2, 3, 4])
        view.release()
        gc.collect()
        self.assertIsNone(kept())

    def test_a_ring_of_both_is_passed_through(self):
        a = np.arange(6.0)
        for _ in range(20):
            a = np.from_dlpack(tarn.from_dlpack(a.copy() if not a.flags.writeable else a))
        self.assertEqual(a.tolist(), list(range(6)))

    def test_what_may_only_be_read_stays_so(self):
        x = tarn.tensor([[1.0, 2.0]]).broadcast_to(3, 2)
        self.assertTrue(x.is_read_only)
        if not is_versioned_numpy:
            with self.assertRaises(BufferError):
                np.from_dlpack(x)
            return
        a = np.from_dlpack(x)
        self.assertFalse(a.flags.writeable)
        self.assertEqual(a.tolist(), [[1, 2]] * 3)
        b = np.zeros(3)
        b.flags.writeable = False
        y = tarn.from_dlpack(b)
        self.assertTrue(y.is_read_only)
        with self.assertRaises(tarn.InvalidArgument):
            y.fill(1)
        self.assertTrue(np.from_dlpack(tarn.zeros((3,))).flags.writeable)

    def test_copies_are_asked_for(self):
        a = np.arange(4.0)
        self.assertNotEqual(tarn.from_dlpack(a, copy=True).address, a.ctypes.data)
        self.assertEqual(tarn.from_dlpack(a, copy=False, device="cpu").address, a.ctypes.data)
        if is_versioned_numpy:
            x = tarn.arange(4)
            self.assertNotEqual(np.from_dlpack(x, copy=True).ctypes.data, x.address)
            self.assertEqual(np.from_dlpack(x, copy=False, device="cpu").ctypes.data, x.address)

    def test_arrays_of_other_types_are_refused_and_given_back(self):
        for kind in (np.complex64, np.uint16, np.uint64):
            a = np.zeros(3, kind)
            references = sys.getrefcount(a)
            with self.assertRaises((tarn.NotSupported, BufferError)):
                tarn.from_dlpack(a)
            gc.collect()
            self.assertEqual(sys.getrefcount(a), references)

    def test_numpys_functions_take_tensors(self):
        x = tarn.tensor([[3.0, 1.0], [2.0, 4.0]])
        self.assertEqual(np.sort(x).tolist(), [[1, 3], [2, 4]])
        self.assertEqual(np.asarray(x, dtype=np.int32).dtype, np.int32)
        self.assertEqual(x.numpy().ctypes.data, x.address)

    def test_a_type_that_numpy_lacks_is_refused_without_a_leak(self):
        before = live()
        with tarn.zeros((3,), "bf16") as x:
            with self.assertRaises((RuntimeError, BufferError, ValueError)):
                np.from_dlpack(x)
        self.assertEqual(live(), before)


class Capsules(unittest.TestCase):
    def test_a_capsule_is_used_once(self):
        before = live()
        capsule = tarn.zeros((3,)).__dlpack__()
        self.assertIn('"dltensor"', repr(capsule))
        x = tarn.from_dlpack(capsule)
        self.assertIn('"used_dltensor"', repr(capsule))
        with self.assertRaises(ValueError):
            tarn.from_dlpack(capsule)
        del capsule
        self.assertEqual(live(), before + 1)
        x.release()
        self.assertEqual(live(), before)

    def test_unused_capsules_end_in_the_middle_of_exceptions_too(self):
        before = live()
        for version in (None, (0, 8), (1, 0), (7, 0)):
            tarn.zeros((3,)).__dlpack__(max_version=version)

            def fail():
                capsule = tarn.zeros((3,)).__dlpack__(max_version=version)
                raise KeyError(repr(capsule))
            with self.assertRaises(KeyError):
                fail()
            self.assertEqual(live(), before)

    def test_versions_are_as_the_consumer_asks(self):
        x = tarn.zeros((3,))
        for version, name in ((None, '"dltensor"'), ((0, 8), '"dltensor"'), ((1, 0), '"dltensor_versioned"')):
            self.assertIn(name, repr(x.__dlpack__(max_version=version)))
        self.assertEqual(x.__dlpack_device__(), (1, 0))

    def test_what_cannot_be_is_a_buffer_error(self):
        with tarn.Allocator("sim:1GiB", "direct") as allocator:
            x = tarn.empty((3,), allocator=allocator)
            for call in (x.__dlpack__, x.__dlpack_device__):
                with self.assertRaises(BufferError) as caught:
                    call()
                self.assertIn("sim:1GiB", str(caught.exception))
            x.release()
        y = tarn.zeros((3,))
        with self.assertRaises(BufferError):
            y.__dlpack__(dl_device=(2, 0))
        with self.assertRaises(BufferError):
            y.broadcast_to(2, 3).__dlpack__()
        with self.assertRaises(ValueError):
            y.__dlpack__(stream=1)

    def test_work_on_streams_is_waited_for(self):
        with tarn.Stream() as stream:
            x = tarn.zeros((1 << 18,), stream=stream).fill(2, stream=stream)
            self.assertEqual(np.from_dlpack(x).sum(), 2 << 18)


class Exchange(unittest.TestCase):
    """The table, called as an extension in C would call it."""

    @classmethod
    def setUpClass(cls):
        get = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
            ("PyCapsule_GetPointer", ctypes.pythonapi))
        table = get(tarn.Tensor.__dlpack_c_exchange_api__, b"dlpack_exchange_api")
        cls.version = tuple((ctypes.c_uint32 * 2).from_address(table))
        (cls.previous, allocate, from_object, to_object, look, current_stream) = (
            ctypes.c_void_p * 6).from_address(table + 8)
        place = ctypes.POINTER(ctypes.c_void_p)
        cls.from_object = staticmethod(ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, place)(from_object))
        cls.to_object = staticmethod(ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, place)(to_object))
        cls.look = staticmethod(ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_void_p)(look))

    def test_the_table_is_on_the_class_and_stays(self):
        self.assertEqual((self.version, self.previous), ((1, 3), None))
        self.assertIs(tarn.Tensor.__dlpack_c_exchange_api__, tarn.zeros((1,)).__dlpack_c_exchange_api__)

    def test_objects_become_structures_and_objects_again(self):
        before = live()
        x = tarn.tensor([[1.0, 2.0], [3.0, 4.0]])
        references = sys.getrefcount(x)
        structure, made = ctypes.c_void_p(), ctypes.c_void_p()
        self.assertEqual(self.from_object(x, ctypes.byref(structure)), 0)
        self.assertEqual(sys.getrefcount(x), references)
        address = x.address
        x.release()
        self.assertEqual(self.to_object(structure, ctypes.byref(made)), 0)
        y = ctypes.cast(made, ctypes.py_object).value
        ctypes.pythonapi.Py_DecRef(ctypes.py_object(y))
        self.assertIs(type(y), tarn.Tensor)
        self.assertEqual((y.address, y.tolist()), (address, [[1, 2], [3, 4]]))
        del y
        self.assertEqual(live(), before)

    def test_a_look_takes_nothing(self):
        x = tarn.tensor([[1, 2], [3, 4]])
        described = (ctypes.c_uint64 * 6)()
        references = sys.getrefcount(x)
        self.assertEqual(self.look(x, ctypes.addressof(described)), 0)
        self.assertEqual(described[0], x.address)
        self.assertEqual(list((ctypes.c_int64 * 2).from_address(described[4])), [2, 1])
        self.assertEqual(sys.getrefcount(x), references)

    def test_failures_are_exceptions_of_python(self):
        x = tarn.zeros((3,))
        x.release()
        place = ctypes.c_void_p()
        with self.assertRaises(BufferError):
            self.from_object(x, ctypes.byref(place))
        with self.assertRaises(AttributeError):
            self.from_object(3, ctypes.byref(place))
        self.assertIsNone(place.value)

    @unittest.skipUnless(tvm_ffi, "tvm_ffi is not here")
    def test_an_extension_that_knows_the_table_passes_tensors_through(self):
        before = live()
        x = tarn.tensor([[1.0, 2.0], [3.0, 4.0]])
        y = tvm_ffi.get_global_func("testing.echo")(x)
        self.assertEqual(tarn.from_dlpack(y).address, x.address)
        x.release()
        del y
        self.assertEqual(live(), before)


class Documents(unittest.TestCase):
    def test_the_examples_of_the_readme_run(self):
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
        for path in ("python/README.md", "README.md"):
            with open(os.path.join(source, path), encoding="utf-8") as file:
                for example in re.findall(r"^```python\n(.*?)^```$", file.read(), re.DOTALL | re.MULTILINE):
                    with contextlib.redirect_stdout(io.StringIO()) as printed:
                        exec(compile(example, path, "exec"), {})
                    self.assertTrue(printed.getvalue())


@unittest.skipUnless(torch, "PyTorch is not here")
class PyTorch(unittest.TestCase):
    TYPES = ("float32", "float16", "bfloat16", "float64", "int8", "uint8", "int16", "int32", "int64")
    # Up to 1.13, PyTorch had no bools in DLPack.
    if torch and int(torch.__version__.split(".")[0]) >= 2:
        TYPES += ("bool",)

    def test_both_see_one_memory(self):
        for name in self.TYPES:
            a = torch.arange(24).reshape(2, 3, 4).to(getattr(torch, name))
            for view in (a, a.permute(2, 0, 1), a[:, 1], a[..., ::2]):
                x = tarn.from_dlpack(view)
                self.assertEqual((x.address, x.shape, x.strides), (view.data_ptr(), tuple(view.shape), view.stride()))
                self.assertIs(x.dtype, tarn.element_types.as_element_type(view.dtype))
                back = torch.from_dlpack(x)
                self.assertEqual((back.data_ptr(), back.dtype), (view.data_ptr(), view.dtype))

    def test_writes_are_seen_on_the_other_side(self):
        x = tarn.zeros((3, 4))
        a = torch.from_dlpack(x)
        a[1, 2] = 5
        self.assertEqual(x[1, 2].item(), 5)
        x.fill(7)
        self.assertEqual(a.sum().item(), 84)

    def test_memory_lives_as_long_as_one_of_them(self):
        before = live()
        x = tarn.full((1000,), 2.0)
        a = torch.from_dlpack(x)[10:]
        x.release()
        self.assertEqual(live(), before + 1)
        self.assertEqual(a.sum().item(), 1980)
        del a
        self.assertEqual(live(), before)
        y = tarn.from_dlpack(torch.ones(1000))
        gc.collect()
        self.assertEqual(y.tolist(), [1] * 1000)

    def test_capsules_of_its_old_functions_are_taken(self):
        a = torch.arange(3)
        self.assertEqual(tarn.from_dlpack(torch.utils.dlpack.to_dlpack(a)).address, a.data_ptr())


if __name__ == "__main__":
    unittest.main()
