"""The package without other libraries: objects that are released once, errors by their kind, tensors of Python's own data."""

import array
import gc
import os
import subprocess
import sys
import threading
import unittest
import weakref

import tarn


def run_python(text, **environment):
    return subprocess.run([sys.executable, "-c", text], env={**os.environ, **environment}, capture_output=True, text=True)


class Loading(unittest.TestCase):
    def test_the_version_is_the_librarys(self):
        self.assertRegex(tarn.__version__, r"^\d+\.\d+\.\d+$")

    def test_a_missing_library_is_named_with_the_ways_to_find_it(self):
        done = run_python("import tarn", TARN_LIBRARY="/nowhere/libtarn.so")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("/nowhere/libtarn.so", done.stderr)
        self.assertIn("TARN_LIBRARY", done.stderr)

    def test_a_process_ends_cleanly_with_tensors_left(self):
        done = run_python("import tarn; x = tarn.zeros((4,)); y = x[1:]; a = tarn.Allocator('cpu', 'caching')")
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class Devices(unittest.TestCase):
    def test_one_name_is_one_device(self):
        self.assertEqual(tarn.Device("cpu"), tarn.Device("cpu"))
        self.assertNotEqual(tarn.Device("cpu"), tarn.Device("sim:1GiB"))
        self.assertEqual(tarn.Device("cpu").type, "cpu")
        self.assertIn("host_access", tarn.Device("cpu").properties["features"])
        self.assertEqual(tarn.Device("sim:1GiB").properties["memory_total"], 2**30)

    def test_backends_are_listed(self):
        self.assertLessEqual({"cpu", "sim"}, {backend.name for backend in tarn.backends() if backend.is_available})

    def test_what_is_not_there_is_an_error_of_its_kind(self):
        with self.assertRaises(tarn.NotFound) as caught:
            tarn.Device("moon:0")
        self.assertIsInstance(caught.exception, LookupError)
        self.assertEqual(caught.exception.status, "NOT_FOUND")
        self.assertIn("moon", str(caught.exception))

    def test_streams_wait_for_each_other(self):
        with tarn.Stream("cpu") as first, tarn.Stream() as second:
            x = tarn.zeros((1000,), stream=first).fill(3, stream=first)
            second.wait_for(first)
            self.assertEqual(x.tolist(stream=second)[-1], 3.0)
            self.assertEqual(first.device, second.device)


class Allocators(unittest.TestCase):
    def test_statistics_are_a_dict_and_follow_what_happens(self):
        with tarn.Allocator("cpu", "limit:1MiB|caching") as allocator:
            self.assertEqual(allocator.stats()["blocks"], {"current": 0, "peak": 0, "total": 0})
            x = tarn.empty((100,), "f64", allocator=allocator)
            stats = allocator.stats()
            self.assertEqual(stats["requested_bytes"]["current"], 800)
            self.assertEqual(stats["histogram"][9], 1)
            self.assertIs(stats["is_graph_mode"], False)
            with self.assertRaises(MemoryError) as caught:
                tarn.empty((2**20,), allocator=allocator)
            self.assertIsInstance(caught.exception, tarn.LimitExceeded)
            x.release()
            self.assertEqual(allocator.stats()["blocks"]["current"], 0)
            allocator.reset_peaks()
            self.assertEqual(allocator.stats()["blocks"]["peak"], 0)
            self.assertGreater(allocator.cache_size, 0)
            allocator.empty_cache()
            self.assertEqual(allocator.allocated_size, 0)
            allocator.check()

    def test_a_wrong_spec_is_shown_with_its_place(self):
        with self.assertRaises(tarn.InvalidArgument) as caught:
            tarn.Allocator("cpu", "limit:1MiB | cachign")
        self.assertIn("cachign", str(caught.exception))

    def test_a_default_is_taken_and_put_back(self):
        with tarn.Allocator("cpu", "direct") as allocator:
            before = tarn.set_default_allocator(allocator)
            try:
                self.assertEqual(tarn.zeros((2,)).allocator.spec, "direct")
            finally:
                tarn.set_default_allocator(before)
        with self.assertRaises(TypeError):
            tarn.set_default_allocator("caching")

    def test_shut_down_refuses_what_comes_later(self):
        with tarn.Allocator("cpu", "caching") as allocator:
            x = tarn.zeros((4,), allocator=allocator)
            allocator.shut_down()
            with self.assertRaises(tarn.ShutDown):
                tarn.zeros((4,), allocator=allocator)
            x.release()


class Lifetimes(unittest.TestCase):
    def setUp(self):
        self.allocator = tarn.Allocator("cpu", "caching")

    def live(self):
        gc.collect()
        return self.allocator.stats()["blocks"]["current"]

    def test_with_release_and_collection_end_a_tensor_once(self):
        with tarn.zeros((4,), allocator=self.allocator) as x:
            x.release()
            x.release()
            self.assertTrue(x.is_released)
        with self.assertRaises(tarn.InvalidArgument) as caught:
            x.shape
        self.assertIn("released", str(caught.exception))
        self.assertEqual(repr(x), "tarn.Tensor(released)")
        del x
        self.assertEqual(self.live(), 0)

    def test_cycles_are_collected(self):
        holder = [tarn.zeros((4,), allocator=self.allocator)]
        holder.append(holder)
        seen = weakref.ref(holder[0])
        del holder
        self.assertEqual(self.live(), 0)
        self.assertIsNone(seen())

    def test_views_keep_the_memory_and_tensors_keep_their_allocator(self):
        x = tarn.full((4, 4), 2.0, allocator=self.allocator)
        view = x[1:3, 2]
        x.release()
        self.assertEqual(self.live(), 1)
        spec = view.allocator
        self.allocator.release()
        self.assertEqual(view.tolist(), [2.0, 2.0])
        self.assertEqual(spec.stats()["blocks"]["current"], 1)
        view.release()
        self.assertEqual(spec.stats()["blocks"]["current"], 0)

    def test_failures_leave_nothing_behind(self):
        for make in (lambda: tarn.zeros((-1,), allocator=self.allocator),
                     lambda: tarn.zeros((2**31, 2**31), allocator=self.allocator),
                     lambda: tarn.zeros([1] * 9, allocator=self.allocator),
                     lambda: tarn.tensor([[1], [2, 3]], allocator=self.allocator)):
            with self.assertRaises(ValueError):
                make()
        self.assertEqual(self.live(), 0)

    def test_threads_make_and_release(self):
        def work():
            for _ in range(50):
                with tarn.zeros((16,), allocator=self.allocator) as x:
                    x[2:].fill(1)
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.live(), 0)


class Tensors(unittest.TestCase):
    def test_types_go_by_many_names(self):
        self.assertIs(tarn.zeros((1,), float).dtype, tarn.f32)
        self.assertIs(tarn.zeros((1,), int).dtype, tarn.i64)
        self.assertIs(tarn.zeros((1,), bool).dtype, tarn.bool_)
        self.assertIs(tarn.zeros((1,), "bfloat16").dtype, tarn.bf16)
        self.assertIs(tarn.zeros((1,), "float64").dtype, tarn.f64)
        self.assertEqual(tarn.bf16.size, 2)
        self.assertEqual(str(tarn.u8), "u8")
        with self.assertRaises(TypeError):
            tarn.zeros((1,), "complex64")

    def test_lists_become_tensors_and_come_back(self):
        for data, dtype in (([[1, 2, 3], [4, 5, 6]], tarn.i64), ([1.5, 2], tarn.f32), (True, tarn.bool_),
                            ([[[]]], tarn.f32), ([[True, False]], tarn.bool_), (7, tarn.i64)):
            x = tarn.tensor(data)
            self.assertIs(x.dtype, dtype)
            self.assertEqual(x.tolist(), data)
        self.assertEqual(tarn.tensor([[1, 2], [3, 4]]).shape, (2, 2))
        with self.assertRaises(TypeError):
            tarn.tensor(["a"])
        with self.assertRaises(OverflowError):
            tarn.tensor([2**64])

    def test_buffers_are_copied(self):
        source = array.array("h", [1, 2, 3, 4, 5, 6])
        x = tarn.tensor(source)
        self.assertIs(x.dtype, tarn.i16)
        source[0] = 9
        self.assertEqual(x.tolist(), [1, 2, 3, 4, 5, 6])
        square = memoryview(source).cast("B").cast("h", (2, 3))
        self.assertEqual(tarn.tensor(square).tolist(), [[9, 2, 3], [4, 5, 6]])
        self.assertEqual(tarn.tensor(memoryview(source)[::2]).tolist(), [9, 3, 5])
        self.assertIs(tarn.tensor(b"ab").dtype, tarn.u8)
        self.assertEqual(tarn.tensor(source).tobytes(), source.tobytes())
        with self.assertRaises(TypeError):
            tarn.tensor(array.array("I", [1]))

    def test_views_index_as_lists_do(self):
        data = [[10 * i + j for j in range(5)] for i in range(4)]
        x = tarn.tensor(data)
        self.assertEqual(x[1, 2].item(), 12)
        self.assertEqual(x[-1, -5].item(), 30)
        self.assertEqual(x[2].tolist(), data[2])
        for cut in (slice(1, 3), slice(None, None, 2), slice(3, 0, -1), slice(None, None, -1), slice(-3, None),
                    slice(2, 2), slice(9, 20), slice(-20, 2), slice(0, -9, -2)):
            self.assertEqual(x[cut].tolist(), data[cut], cut)
            self.assertEqual(x[:, cut].tolist(), [row[cut] for row in data], cut)
        self.assertEqual(x[..., 1].tolist(), [row[1] for row in data])
        self.assertEqual(x[1, ..., None].shape, (5, 1))
        self.assertEqual(x[None, :, 0].shape, (1, 4))
        self.assertEqual([row.tolist() for row in x], data)
        self.assertEqual(len(x), 4)
        for wrong in (4, -5, (0, 0, 0), (..., ...)):
            with self.assertRaises(IndexError):
                x[wrong]
        self.assertEqual(x.T.shape, (5, 4))
        self.assertEqual(x.transpose(1, 0).strides, (1, 5))
        self.assertEqual(x.reshape(2, -1).tolist(), [data[0] + data[1], data[2] + data[3]])
        self.assertEqual(x.view(20)[7].item(), 12)
        with self.assertRaises(tarn.NotSupported):
            x.T.view(20)

    def test_setting_elements_writes_through_views(self):
        x = tarn.zeros((3, 4))
        x[1] = 2
        x[:, ::3] = tarn.tensor([1.0, 5.0])
        x[2, 1:3] = [7, 8]
        self.assertEqual(x.tolist(), [[1, 0, 0, 5], [1, 2, 2, 5], [1, 7, 8, 5]])
        with self.assertRaises(ValueError):
            x.broadcast_to(2, 3, 4).fill(1)

    def test_numbers_of_one_element(self):
        self.assertEqual(float(tarn.tensor([2.5])), 2.5)
        self.assertEqual([0, 1, 2][tarn.tensor(1)], 1)
        self.assertIs(tarn.tensor(True).item(), True)
        with self.assertRaises(ValueError):
            bool(tarn.zeros((2,)))
        with self.assertRaises(TypeError):
            len(tarn.tensor(1))

    def test_moving_to_where_it_is_copies_nothing(self):
        x = tarn.zeros((3,))
        with x.to(tarn.default_allocator()) as same:
            self.assertEqual(same.address, x.address)
        self.assertNotEqual(x.copy().address, x.address)
        self.assertIs(x.cast("i32").dtype, tarn.i32)

    def test_handles_are_checked_before_the_library_sees_them(self):
        x = tarn.zeros((3,))
        for call in (lambda: x.fill(1, stream=x), lambda: tarn.zeros((1,), allocator="caching"), lambda: x.fill("a"),
                     lambda: tarn.matmul(x, [1.0]), lambda: tarn.add(x, None), lambda: tarn.Tensor()):
            with self.assertRaises(TypeError):
                call()

    def test_operands_live_until_the_call_returns(self):
        allocator = tarn.Allocator("cpu", "caching")
        for call in (lambda x: tarn.neg(x()), lambda x: x() + x(), lambda x: 2 - x(), lambda x: x() * 2, lambda x: x().sum(),
                     lambda x: tarn.select(x() > x(), x(), x()), lambda x: tarn.gather(x(), tarn.tensor([1]))):
            result = call(lambda: tarn.full((4,), 3.0, allocator=allocator))
            result.release()
        self.assertEqual(allocator.stats()["blocks"]["current"], 0)

    def test_capsules_are_refused_where_they_are_none(self):
        for wrong in (3, object(), [1.0]):
            with self.assertRaises(TypeError):
                tarn.from_dlpack(wrong)


if __name__ == "__main__":
    unittest.main()
