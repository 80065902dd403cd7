"""Every operation against NumPy, over shapes, strides, types and numbers that hypothesis generates, and the rules of promotion against
PyTorch's own where it is installed. The tensors are NumPy's memory: nothing is copied on the way in."""

import importlib
import itertools
import os
import tempfile
import unittest

import numpy as np
import tarn
from generated import (
    ALL, FLOATS, INTEGERS, TOLERANCE, arrays, assert_near, back, broadcast_pairs, floating, of, promoted, seeds,
    small_shapes,
)
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as shapes

try:
    torch = importlib.import_module("torch")
except ImportError:
    torch = None


class Elementwise(unittest.TestCase):
    FUNCTIONS = {"exp": np.exp, "sin": np.sin, "cos": np.cos, "tanh": np.tanh, "log": np.log, "sqrt": np.sqrt,
                 "sigmoid": lambda a: 1 / (1 + np.exp(-a))}

    @given(arrays(), st.sampled_from(sorted(FUNCTIONS)))
    def test_functions_of_real_numbers(self, a, name):
        dtype = floating(a.dtype.name)
        if name in ("log", "sqrt"):
            # Numbers that they have a value for, with the strides that there were.
            a[...] = np.abs(a.astype("float64")) + (name == "log")
        assert_near(tarn.unary(name, of(a)), self.FUNCTIONS[name](a.astype("float64")), dtype, 32)

    @given(arrays(types=st.sampled_from(FLOATS + INTEGERS)))
    def test_neg_and_relu(self, a):
        assert_near(-of(a), -a, a.dtype.name, 0)
        assert_near(tarn.relu(of(a)), np.maximum(a, 0).astype(a.dtype), a.dtype.name, 0)

    @given(broadcast_pairs(), st.sampled_from(("add", "multiply", "maximum", "minimum", "subtract")))
    def test_two_operands_of_any_types(self, pair, name):
        a, b = pair
        dtype = promoted(a.dtype.name, b.dtype.name)
        if a.ndim == 0 or b.ndim == 0 or (name == "subtract" and dtype == "bool"):
            return  # looked at below: rank 0 has rules of its own
        with np.errstate(over="ignore"):
            wanted = getattr(np, name)(a.astype(dtype), b.astype(dtype))
        assert_near(tarn.binary(name, of(a), of(b)), wanted, dtype, 2)

    @given(broadcast_pairs(types=st.sampled_from(FLOATS + INTEGERS), low=1.0))
    def test_division_is_of_floats(self, pair):
        a, b = pair
        if a.ndim == 0 or b.ndim == 0:
            return
        dtype = floating(promoted(a.dtype.name, b.dtype.name))
        assert_near(of(a) / of(b), a.astype("float64") / b.astype("float64"), dtype, 4)

    @given(broadcast_pairs(types=st.sampled_from(("float32", "float64")), low=0.5, high=3.0),
           broadcast_pairs(types=st.sampled_from(("int32", "int64")), low=0.0, high=6.0))
    def test_powers(self, floats, integers):
        for a, b in (floats, integers):
            if a.ndim == 0 or b.ndim == 0:
                continue
            dtype = promoted(a.dtype.name, b.dtype.name)
            assert_near(of(a) ** of(b), a.astype(dtype) ** b.astype(dtype), dtype, 256)

    @given(broadcast_pairs())
    def test_comparisons(self, pair):
        a, b = pair
        x, y = of(a), of(b)
        # In the type that both are promoted to, as the values are compared there.
        if a.ndim and b.ndim:
            kind = promoted(a.dtype.name, b.dtype.name)
            a, b = a.astype(kind), b.astype(kind)
            for found, wanted in ((x == y, a == b), (x != y, a != b), (x < y, a < b), (x <= y, a <= b), (x > y, a > b),
                                  (x >= y, a >= b)):
                assert_near(found, wanted, "bool")

    @given(arrays(types=st.sampled_from(FLOATS + INTEGERS), low=1.0), st.integers(1, 5), st.floats(0.5, 4, width=16))
    def test_numbers_on_either_side(self, a, integer, number):
        x, dtype = of(a), a.dtype.name
        assert_near(x + integer, a + a.dtype.type(integer), dtype, 2)
        assert_near(integer - x, a.dtype.type(integer) - a, dtype, 2)
        assert_near(integer < x, integer < a, "bool")
        real = floating(dtype)
        assert_near(x * number, a.astype("float64") * number, real, 4)
        assert_near(number / x, number / a.astype("float64"), real, 4)
        assert_near(x == True, a == 1, "bool")  # noqa: E712

    @given(arrays(types=st.sampled_from(FLOATS)))
    def test_in_place(self, a):
        before = a.copy()
        x = of(a)
        address = x.address
        x += 1
        x *= x
        self.assertEqual(x.address, address)
        # Through the view into NumPy's own memory.
        np.testing.assert_allclose(a, (before + a.dtype.type(1)) ** 2, rtol=TOLERANCE[a.dtype.name] * 4)

    @given(broadcast_pairs(types=st.sampled_from(("float32", "int32"))), arrays(types="bool"))
    def test_select(self, pair, condition):
        a, b = pair
        try:
            shape = np.broadcast_shapes(a.shape, b.shape, condition.shape)
        except ValueError:
            with self.assertRaises(tarn.InvalidArgument):
                tarn.select(of(condition), of(a), of(b))
            return
        if a.ndim == 0 or b.ndim == 0:
            return
        dtype = promoted(a.dtype.name, b.dtype.name)
        found = tarn.select(of(condition), of(a), of(b))
        self.assertEqual(found.shape, shape)
        assert_near(found, np.where(condition, a.astype(dtype), b.astype(dtype)), dtype, 0)

    @given(arrays(types=st.sampled_from(ALL), low=0.0), st.sampled_from(ALL))
    def test_casts(self, a, dtype):
        assert_near(of(a).cast(dtype), a.astype(dtype), dtype, 0)
        # bf16 has the integers up to 256.
        if a.dtype.name not in FLOATS:
            assert_near(of(a).cast("bf16").cast(dtype), a.astype(dtype), dtype, 0)

    @given(arrays(types=st.sampled_from(ALL)), st.data())
    def test_copies_into_views(self, a, data):
        target = data.draw(arrays(a.shape, st.sampled_from(("float32", "float64"))))
        of(target).copy_from(of(a))
        np.testing.assert_allclose(target.astype("float64"), a.astype("float64"), rtol=1e-6)
        self.assertTrue(of(a).contiguous().is_contiguous)
        self.assertEqual(of(a).reshape(-1).tolist(), a.reshape(-1).tolist())


class Reductions(unittest.TestCase):
    @given(arrays(shape=shapes.array_shapes(min_dims=1, max_dims=4, max_side=6)), st.data(),
           st.sampled_from(("sum", "prod", "max", "min", "mean")), st.booleans())
    def test_over_any_dimensions(self, a, data, name, keepdims):
        if name == "mean" and a.dtype.name not in FLOATS:
            with self.assertRaises(tarn.Error):
                tarn.mean(of(a))
            return
        chosen = data.draw(st.sets(st.integers(0, a.ndim - 1)))
        dims = tuple(dim - a.ndim * data.draw(st.booleans()) for dim in chosen) or None
        exact = a.astype("float64") if a.dtype.name in FLOATS else a
        dtype = a.dtype.name
        if name in ("sum", "prod") and dtype not in FLOATS:
            dtype = "int64"
            wanted = getattr(np, name)(a.astype("int64"), axis=dims, keepdims=keepdims)
        else:
            wanted = getattr(np, name)(exact, axis=dims, keepdims=keepdims)
        if name == "prod" and not np.all(np.abs(wanted) < 6e4):
            return
        # Sums of numbers up to 4 that cancel are as near as their parts.
        assert_near(getattr(tarn, name)(of(a), dims, keepdims), wanted, dtype, 64)

    @given(st.integers(1, 3000), seeds)
    def test_long_sums_stay_near(self, count, seed):
        a = np.random.default_rng(seed).uniform(0, 1, count).astype("float32")
        np.testing.assert_allclose(tarn.sum(of(a)).item(), a.astype("float64").sum(), rtol=1e-6)

    def test_over_nothing(self):
        x = tarn.zeros((3, 0))
        self.assertEqual(x.sum(dims=1).tolist(), [0] * 3)
        self.assertEqual(x.prod().item(), 1)
        self.assertTrue(np.isnan(x.mean().item()))
        with self.assertRaises(ValueError):
            x.max()
        with self.assertRaises(ValueError):
            x.sum(dims=())


class Making(unittest.TestCase):
    @given(st.integers(-20, 20), st.integers(-20, 20), st.integers(-5, 5).filter(bool), st.sampled_from(INTEGERS + FLOATS))
    def test_arange(self, begin, end, step, dtype):
        if dtype == "uint8":
            begin, end = abs(begin), abs(end)
        assert_near(tarn.arange(begin, end, step, dtype), np.arange(begin, end, step).astype(dtype), dtype, 0)
        assert_near(tarn.arange(begin / 4, end / 4, step / 8), np.arange(begin / 4, end / 4, step / 8), "float32", 8)

    @given(small_shapes, st.sampled_from(ALL))
    def test_full(self, shape, dtype):
        assert_near(tarn.full(shape, 3, dtype), np.full(shape, 3).astype(dtype), dtype, 0)
        assert_near(tarn.zeros(shape, dtype), np.zeros(shape), dtype, 0)

    def test_random_numbers_follow_their_seed(self):
        x, y, z = (tarn.random_uniform((20000,), seed, -1, 3) for seed in (7, 7, 8))
        self.assertEqual(x.tobytes(), y.tobytes())
        self.assertNotEqual(x.tobytes(), z.tobytes())
        a = back(x)
        self.assertTrue(-1 <= a.min() < -0.99 and 2.99 < a.max() < 3)
        self.assertAlmostEqual(a.mean(), 1, delta=0.05)
        normal = back(tarn.random_normal((20000,), 7, 2, 3))
        self.assertAlmostEqual(normal.mean(), 2, delta=0.1)
        self.assertAlmostEqual(normal.std(), 3, delta=0.1)


class Texts(unittest.TestCase):
    @given(arrays(low=-100.0, high=100.0))
    def test_are_numpys(self, a):
        self.assertEqual(str(of(a)), str(a))

    # Where exponents begin differs between versions of NumPy.
    @given(st.data(), st.sampled_from((16, 32, 64)))
    def test_of_any_numbers_are_numpys(self, data, bits):
        numbers = st.floats(-900, 900, width=bits) | st.sampled_from((np.nan, np.inf, -np.inf))
        a = data.draw(shapes.arrays("float%d" % bits, shapes.array_shapes(max_dims=3, max_side=4), elements=numbers))
        self.assertEqual(str(of(a)), str(a))

    @given(shapes.arrays("int64", shapes.array_shapes(max_dims=3, max_side=4)))
    def test_of_any_integers_are_numpys(self, a):
        self.assertEqual(str(of(a)), str(a))

    def test_of_many_elements_are_summarised(self):
        for shape in ((2000,), (40, 50), (11, 10, 12), (1, 2, 600)):
            a = np.arange(np.prod(shape)).reshape(shape)
            self.assertEqual(str(of(a)), str(a))
            self.assertEqual(str(of(a / 7)), str(a / 7))

    def test_repr_names_type_and_device(self):
        self.assertEqual(repr(tarn.tensor([[1, 2], [3, 4]])), "tarn.Tensor([[1 2]\n             [3 4]], i64, cpu)")


class Files(unittest.TestCase):
    @given(arrays())
    def test_numpy_reads_what_tarn_writes_and_back(self, a):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "a.npy")
            of(a).save(path)
            read = np.load(path)
            self.assertEqual(read.dtype, a.dtype)
            np.testing.assert_array_equal(read, a)
            for ordered in (a.copy(order="C"), a.copy(order="F"), a.astype(a.dtype.newbyteorder(">"))):
                np.save(path, ordered)
                assert_near(tarn.load(path), a, a.dtype.name, 0)


@unittest.skipUnless(torch, "PyTorch is not here")
class Promotion(unittest.TestCase):
    NAMES = ("float32", "float16", "bfloat16", "float64", "int8", "uint8", "int16", "int32", "int64", "bool")

    @staticmethod
    def name_of(kind):
        return "bfloat16" if kind is tarn.bf16 else kind.numpy_name

    def test_pairs_of_types(self):
        for a, b in itertools.product(self.NAMES, repeat=2):
            wanted = torch.promote_types(getattr(torch, a), getattr(torch, b))
            self.assertEqual("torch." + self.name_of(tarn.promote(a, b)), str(wanted), (a, b))

    def test_ranks_and_numbers_count_less(self):
        for a, b, ranks in itertools.product(self.NAMES, self.NAMES, ((0, 1), (1, 0), (0, 0))):
            theirs = [torch.ones((1,) * rank, dtype=getattr(torch, name)) for name, rank in zip((a, b), ranks)]
            ours = [tarn.full((1,) * rank, 1, name) for name, rank in zip((a, b), ranks)]
            self.assertEqual("torch." + self.name_of(tarn.add(*ours).dtype), str(torch.result_type(*theirs)),
                             (a, b, ranks))
        for name, number, rank in itertools.product(self.NAMES, (True, 2, 2.5), (0, 1)):
            theirs = torch.result_type(torch.ones((1,) * rank, dtype=getattr(torch, name)), number)
            x = tarn.full((1,) * rank, 1, name)
            for found in (x + number, number * x):
                self.assertEqual("torch." + self.name_of(found.dtype), str(theirs), (name, number, rank))


class Errors(unittest.TestCase):
    def test_sentences_name_shapes_types_and_devices(self):
        x, y = tarn.zeros((2, 3)), tarn.zeros((4, 5))
        for call, words in ((lambda: x + y, ("[2, 3]", "[4, 5]")), (lambda: x @ y, ("[2, 3]", "[4, 5]")),
                            (lambda: tarn.softmax(x, 2), ("2",)), (lambda: tarn.sum(x, (0, 0)), ("0",)),
                            (lambda: tarn.add(x, x, out=tarn.zeros((3, 2))), ("[3, 2]",)),
                            (lambda: x.view(4, 4), ("[2, 3]", "[4, 4]"))):
            with self.assertRaises(tarn.InvalidArgument) as caught:
                call()
            for word in words:
                self.assertIn(word, str(caught.exception))

    def test_tensors_of_two_devices_do_not_mix(self):
        with tarn.Allocator("sim:1GiB", "direct") as allocator:
            y = tarn.empty((2,), allocator=allocator)
            with self.assertRaises(tarn.InvalidArgument) as caught:
                tarn.zeros((2,)) + y
            self.assertIn("sim:1GiB", str(caught.exception))
            y.release()

    def test_an_output_must_not_lie_across_an_operand(self):
        x = tarn.arange(8.0)
        with self.assertRaises(tarn.InvalidArgument):
            tarn.add(x[:-1], x[:-1], out=x[1:])

    def test_a_released_tensor_is_refused(self):
        x, y = tarn.zeros((2,)), tarn.zeros((2,))
        y.release()
        with self.assertRaises(tarn.InvalidArgument):
            x + y


if __name__ == "__main__":
    unittest.main()
