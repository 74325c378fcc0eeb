"""Arrays between NumPy and Plywood, both ways. Needs `numpy`.

    python tests/parity/numpy_files.py

writes tests/parity/fixtures/numpy/: small arrays as NumPy saves them, in every type and order, and files that are no
tensors. tests/tests/numpy_files.rs reads them. The committed files were made with numpy 2.4.6.

    python tests/parity/numpy_files.py --check FOLDER

compares files that Plywood wrote there with the same arrays.
`cargo test -p plywood-tests --test numpy_files` writes such files to target/tmp/numpy.
"""

import pathlib
import sys

import numpy as np

FIXTURES = pathlib.Path(__file__).parent / "fixtures" / "numpy"
TYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64"]


def numbers(dtype):
    """Two rows of three, negative ones among them where the type has any."""
    x = np.arange(-2, 4).reshape(2, 3)
    if dtype == "bool":
        return x % 2 == 0
    if dtype.startswith("float"):
        return (x * 1.5).astype(dtype)
    return (x * 7 + (14 if dtype.startswith("u") else 0)).astype(dtype)


def write():
    FIXTURES.mkdir(parents=True, exist_ok=True)
    for dtype in TYPES:
        x = numbers(dtype)
        np.save(FIXTURES / f"{dtype}.npy", x)
        np.save(FIXTURES / f"{dtype}_fortran.npy", np.asfortranarray(x))
        np.save(FIXTURES / f"{dtype}_big.npy", x.astype(x.dtype.newbyteorder(">")))
    cube = np.arange(24, dtype="float32").reshape(2, 3, 4)
    np.save(FIXTURES / "cube_fortran.npy", np.asfortranarray(cube))
    np.save(FIXTURES / "scalar.npy", np.float64(1.5))
    np.save(FIXTURES / "empty.npy", np.zeros((0, 3), "float32"))
    with open(FIXTURES / "version_2.npy", "wb") as file:
        np.lib.format.write_array(file, numbers("int64"), version=(2, 0))
    arrays = dict(x=numbers("float32"), labels=np.array([3, 1]), mask=np.array([True, False]))
    np.savez(FIXTURES / "stored.npz", **arrays)
    np.savez_compressed(FIXTURES / "compressed.npz", **arrays)
    np.save(FIXTURES / "objects.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    np.save(FIXTURES / "half.npy", np.zeros(2, "float16"))
    np.save(FIXTURES / "text.npy", np.array(["a", "bc"]))
    np.save(FIXTURES / "records.npy", np.zeros(2, [("x", "f4"), ("y", "i8", (2,))]))


def check(folder):
    for dtype in TYPES:
        x = np.load(folder / f"{dtype}.npy")
        expected = numbers(dtype)
        assert x.dtype == expected.dtype and x.shape == expected.shape and (x == expected).all(), (dtype, x)
    for name in ["stored", "compressed"]:
        with np.load(folder / f"{name}.npz") as file:
            assert file.files == ["x", "labels", "mask"], file.files
            assert (file["x"] == numbers("float32")).all() and file["x"].dtype == np.float32
            assert file["labels"].tolist() == [3, 1] and file["labels"].dtype == np.int64
            assert file["mask"].tolist() == [True, False] and file["mask"].dtype == bool
    print(f"NumPy {np.__version__} reads what Plywood wrote in {folder}: {len(TYPES)} arrays and 2 archives")


if sys.argv[1:2] == ["--check"] and len(sys.argv) == 3:
    check(pathlib.Path(sys.argv[2]))
elif not sys.argv[1:]:
    write()
else:
    sys.exit(__doc__)
