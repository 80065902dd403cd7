"""Matrix products and the layers of neural networks against NumPy, over what hypothesis generates."""

import unittest

import numpy as np
import tarn
from generated import FLOATS, arrays, assert_near, of
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as shapes


class Networks(unittest.TestCase):
    @given(st.data(), st.sampled_from(FLOATS))
    def test_matrix_products(self, data, dtype):
        both = data.draw(shapes.mutually_broadcastable_shapes(
            signature="(m?,k),(k,n?)->(m?,n?)", max_dims=2, max_side=5)).input_shapes
        a, b = (data.draw(arrays(shape, dtype, low=-1, high=1)) for shape in both)
        wanted = np.matmul(a.astype("float64"), b.astype("float64"))
        assert_near(of(a) @ of(b), wanted, dtype, 16)

    @given(st.data(), st.sampled_from((None, "relu", "sigmoid", "tanh")))
    def test_linear_layers(self, data, activation):
        m, k, n = (data.draw(st.integers(1, 9)) for _ in range(3))
        a, b, bias = (data.draw(arrays(shape, "float32", low=-1, high=1)) for shape in ((m, k), (k, n), (n,)))
        sums = a.astype("float64") @ b + bias
        wanted = {None: lambda s: s, "relu": lambda s: np.maximum(s, 0), "sigmoid": lambda s: 1 / (1 + np.exp(-s)),
                  "tanh": np.tanh}[activation](sums)
        assert_near(tarn.linear(of(a), of(b), of(bias), activation), wanted, "float32", 16)

    @staticmethod
    def windows(a, kernel, stride, padding, dilation, filler):
        """[batch, channels, height, width, kernel height, kernel width] of an image, as a view."""
        a = np.pad(a, ((0, 0), (0, 0)) + tuple((p, p) for p in padding), constant_values=filler)
        reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
        seen = np.lib.stride_tricks.sliding_window_view(a, reach, axis=(2, 3))
        return seen[:, :, ::stride[0], ::stride[1], ::dilation[0], ::dilation[1]]

    @given(st.data())
    def test_convolutions(self, data):
        def draw(low, high):
            return data.draw(st.integers(low, high))
        groups, kernel = draw(1, 2), (draw(1, 3), draw(1, 3))
        stride, padding, dilation = [(draw(low, 2), draw(low, 2)) for low in (1, 0, 1)]
        batch, channels, filters = draw(1, 2), groups * draw(1, 2), groups * draw(1, 2)
        size = tuple(draw(5, 8) for _ in range(2))
        a = data.draw(arrays((batch, channels) + size, "float32", low=-1, high=1))
        weight = data.draw(arrays((filters, channels // groups) + kernel, "float32", low=-1, high=1))
        bias = data.draw(arrays((filters,), "float32"))
        seen = self.windows(a.astype("float64"), kernel, stride, padding, dilation, 0)
        parts = [np.einsum("bchwij,fcij->bfhw", one, of_group) for one, of_group in
                 zip(np.split(seen, groups, 1), np.split(weight.astype("float64"), groups))]
        wanted = np.concatenate(parts, 1) + bias[:, None, None]
        found = tarn.conv2d(of(a), of(weight), of(bias), stride, padding, dilation, groups)
        assert_near(found, wanted, "float32", 64)
        assert_near(tarn.conv2d(of(a), of(weight), of(bias), stride, padding, dilation, groups, "relu"),
                    np.maximum(wanted, 0), "float32", 64)

    @given(st.data(), st.sampled_from(("float32", "int32")))
    def test_pooling(self, data, dtype):
        def draw(low, high):
            return data.draw(st.integers(low, high))
        kernel, stride, dilation = (draw(1, 3), draw(1, 3)), (draw(1, 2), draw(1, 2)), (draw(1, 2), draw(1, 2))
        padding = tuple(draw(0, k // 2) for k in kernel)
        a = data.draw(arrays((draw(1, 2), draw(1, 3), draw(5, 8), draw(5, 8)), dtype))
        filler = -np.inf if dtype == "float32" else np.iinfo(dtype).min
        wanted = self.windows(a, kernel, stride, padding, dilation, filler).max((-2, -1))
        assert_near(tarn.max_pool2d(of(a), kernel, stride, padding, dilation), wanted, dtype, 0)

    @given(arrays(shape=shapes.array_shapes(min_dims=1, max_dims=4, max_side=6), types=st.sampled_from(FLOATS)),
           st.data())
    def test_softmax(self, a, data):
        dim = data.draw(st.integers(-a.ndim, a.ndim - 1))
        powers = np.exp(a.astype("float64") - a.max(dim, keepdims=True))
        assert_near(tarn.softmax(of(a), dim), powers / powers.sum(dim, keepdims=True), a.dtype.name, 8)

    @given(arrays(shape=shapes.array_shapes(min_dims=2, max_dims=4, min_side=2, max_side=6), types="float32"),
           st.data())
    def test_layer_norm(self, a, data):
        count = data.draw(st.integers(1, a.ndim - 1))
        weight, bias = (data.draw(arrays(a.shape[-count:], "float32")) for _ in range(2))
        axes = tuple(range(a.ndim - count, a.ndim))
        exact = a.astype("float64")
        normal = (exact - exact.mean(axes, keepdims=True)) / np.sqrt(exact.var(axes, keepdims=True) + 1e-2)
        assert_near(tarn.layer_norm(of(a), count, epsilon=1e-2), normal, "float32", 64)
        assert_near(tarn.layer_norm(of(a), count, of(weight), of(bias), epsilon=1e-2), normal * weight + bias,
                    "float32", 256)

    @given(arrays(shape=shapes.array_shapes(min_dims=1, max_dims=3, max_side=5)), st.data(),
           st.sampled_from(("int32", "int64")))
    def test_gather(self, a, data, dtype):
        dim = data.draw(st.integers(-a.ndim, a.ndim - 1))
        size = a.shape[dim]
        indices = data.draw(shapes.arrays(dtype, shapes.array_shapes(max_dims=2, max_side=4),
                                          elements=st.integers(-size, size - 1)))
        assert_near(tarn.gather(of(a), of(indices), dim), np.take(a, indices, dim), a.dtype.name, 0)
        with self.assertRaises(tarn.InvalidArgument):
            tarn.gather(of(a), tarn.tensor([size]), dim)


if __name__ == "__main__":
    unittest.main()
