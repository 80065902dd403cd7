"""What hypothesis generates for the tests of operations, and how results are compared with NumPy's."""

import numpy as np
import tarn
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as shapes

settings.register_profile("tarn", max_examples=40, deadline=None, derandomize=True, database=None)
settings.load_profile("tarn")

FLOATS = ("float16", "float32", "float64")
INTEGERS = ("int8", "uint8", "int16", "int32", "int64")
ALL = FLOATS + INTEGERS + ("bool",)
# A few units in the last place, for values of about 1.
TOLERANCE = {"float16": 2e-3, "float32": 1e-6, "float64": 4e-15}

seeds = st.integers(0, 2**32 - 1)
small_shapes = shapes.array_shapes(min_dims=0, max_dims=4, max_side=5, min_side=0)


@st.composite
def arrays(draw, shape=small_shapes, types=st.sampled_from(ALL), low=-4.0, high=4.0):
    """An array with the strides of some view: turned, reversed, every other element."""
    shape = draw(shape) if not isinstance(shape, tuple) else shape
    dtype = draw(types) if not isinstance(types, str) else types
    random = np.random.default_rng(draw(seeds))
    order = draw(st.permutations(range(len(shape))))
    steps = draw(st.lists(st.sampled_from((1, 1, -1, 2)), min_size=len(shape), max_size=len(shape)))
    base = random.uniform(low, high, [abs(steps[i]) * shape[i] for i in order])
    base = (base > 0) if dtype == "bool" else np.abs(base).astype(dtype) if dtype == "uint8" else base.astype(dtype)
    turned = base.transpose(np.argsort(order)) if len(shape) else base
    return turned[(...,) + tuple(slice(None, None, step) for step in steps)]


@st.composite
def broadcast_pairs(draw, types=st.sampled_from(ALL), **bounds):
    both = draw(shapes.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=4)).input_shapes
    return tuple(draw(arrays(shape, types, **bounds)) for shape in both)


def of(a):
    """The array as a tensor of the same memory; bools, which NumPy once had not in DLPack, as a copy."""
    return tarn.tensor(a) if a.dtype == bool else tarn.from_dlpack(a)


def back(x):
    """A tensor's elements as an array of their own; bf16 as float32."""
    x = x.cast("f32") if x.dtype is tarn.bf16 else x
    return np.frombuffer(x.tobytes(), x.dtype.numpy_name).reshape(x.shape)


def assert_near(x, wanted, dtype=None, tolerance=1.0):
    found = back(x)
    wanted = np.asarray(wanted)
    if dtype is not None:
        assert found.dtype.name == dtype, (found.dtype, dtype)
    assert found.shape == wanted.shape, (found.shape, wanted.shape)
    if found.dtype.name in TOLERANCE:
        near = TOLERANCE[found.dtype.name] * tolerance
        np.testing.assert_allclose(found.astype("float64"), wanted.astype("float64"), rtol=near, atol=near)
    else:
        np.testing.assert_array_equal(found, wanted.astype(found.dtype))


def promoted(*dtypes):
    """NumPy's name of what Tarn promotes types to."""
    kind = tarn.element_types.as_element_type(dtypes[0])
    for dtype in dtypes[1:]:
        kind = tarn.promote(kind, dtype)
    return kind.numpy_name


def floating(dtype):
    return dtype if dtype in FLOATS else "float32"
