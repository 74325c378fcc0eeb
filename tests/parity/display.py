"""Writes core/src/tensor/testdata/display.txt: tensors and the text that PyTorch prints for them.

    python tests/parity/display.py

Needs `torch` (the committed file was made with 2.15). Run it from anywhere.

A case is a line `# TYPE [SIZES] PRECISION: VALUES`, then the text. Floats are given by their bits in hexadecimal,
integers in decimal; the values repeat until the tensor is full. Element types have Rust's names, in the text, too, so
the `dtype=` at the end is put on (or wrapped to a line of its own) under that name.
"""

import pathlib
import random
import struct

import torch
from torch._tensor_str import _add_suffixes, _tensor_str

TARGET = pathlib.Path(__file__).parents[2] / "core/src/tensor/testdata/display.txt"
TYPES = {
    "f32": torch.float32, "f64": torch.float64,
    "i8": torch.int8, "i16": torch.int16, "i32": torch.int32, "i64": torch.int64,
    "u8": torch.uint8, "u16": torch.uint16, "u32": torch.uint32, "u64": torch.uint64,
}  # fmt: skip
inf, nan = float("inf"), float("nan")
cases = []


def f32(x):
    """The f32 closest to x, as its bits."""
    try:
        return struct.unpack("<I", struct.pack("<f", x))[0]
    except OverflowError:
        return 0x7F800000 if x > 0 else 0xFF800000


def tensor_of(name, values, sizes):
    count = 1
    for size in sizes:
        count *= size
    values = [values[i % len(values)] for i in range(count)]
    return torch.tensor(values, dtype=TYPES[name]).reshape(sizes)


def printed(tensor, name):
    text = "tensor(" + _tensor_str(tensor, 7)
    suffixes = []
    if tensor.numel() == 0:
        if tensor.dim() != 1:
            suffixes.append(f"size={tuple(tensor.shape)}")
        if name != "f32":
            suffixes.append(f"dtype={name}")
    elif name not in ("f32", "i64"):
        suffixes.append(f"dtype={name}")
    text = _add_suffixes(text, suffixes, 7, False)
    # The name apart, this is what `print` shows.
    real = str(tensor).replace(str(tensor.dtype), name)
    assert text.split() == real.split(), (text, real)
    assert suffixes or text == real, (text, real)
    return text


def case(name, values, sizes=None, precision=4):
    sizes = [len(values)] if sizes is None else sizes
    bits = {"f32": lambda x: f"{f32(x):x}", "f64": lambda x: f"{struct.unpack('<Q', struct.pack('<d', x))[0]:x}"}
    if name == "f32":
        values = [struct.unpack("<f", struct.pack("<I", f32(x)))[0] for x in values]
    torch.set_printoptions(precision=precision)
    text = printed(tensor_of(name, values, sizes), name)
    torch.set_printoptions(precision=4)
    values = " ".join(bits.get(name, str)(x) for x in values)
    cases.append(f"# {name} {sizes} {precision}: {values}\n{text}\n")


random.seed(0)
FLOATS = ("f32", "f64")

# Rank 0.
for name in FLOATS:
    for x in [0.0, -0.0, 1.0, -1.0, 3.14159265, 1e-4, 9.99e-5, 1e-5, 1e8, 100000001.0, 1.5e9, 16777217.0, 1e-30, 1e30,
              inf, -inf, nan, -nan, 0.5, 2.5, 999999.99996, 0.99999, 12345.6789]:  # fmt: skip
        case(name, [x], [])
for name in TYPES:
    if name not in FLOATS:
        case(name, [7], [])

# Rank 1, one idea a case.
for name in FLOATS:
    for values in [
        [1.0, 2.0, 3.0],
        [1.0, 2.5, -3.0],
        [0.0, 0.0],
        [-0.0, 0.0],
        [-0.0, 1.5],
        [-0.0, -20.0, 3.0],
        [-0.0, 1e-6, 2.0],
        [1.0, 1000.0],  # a ratio of exactly a thousand is still fixed
        [1.0, 1001.0],
        [0.5, 500.0],
        [0.5, 500.5],
        [1e8, 1e8],
        [1e8, 1.1e8],
        [1e-4, 2e-4],
        [1.1e-4, 2e-4],
        [1e-5, 1.0, 1e8],
        [123456.0, 234567.0, -99999.0],
        [123456.25, 234567.5],
        [-123456.25, 0.0, 234567.5],
        [nan, nan],
        [inf, -inf, nan],
        [nan, 1.0, 2.0],
        [inf, 1.0, -2.0],
        [-inf, 0.0],
        [nan, 1.5, inf, -inf],
        [nan, 1e-9, inf, 1.0],
        [-nan, 1e9, -inf],
        [nan, 12345.0, inf, -inf, 0.0],
        # Halfway between two decimals: exact in binary, so rounding goes to the even digit.
        [0.03125, 0.09375, 0.15625, -0.21875, 0.00003051757812],
        [2.00003125, 2.00009375, 1.99996875],
        [0.99995, 0.999951, 9.99995, 9.99996],
        [99999.99996, 100.0],
        [1e-38, 1e38],
        [1.4e-45, 3.4e38, -3.4e38],
    ]:
        case(name, values)
case("f64", [5e-324, 1.7976931348623157e308, -1.0])
case("f64", [1e-100, 1e100])
case("f64", [1e-310, 1e-308])
case("f64", [123456789.0123, 1e15])

# Integers.
case("i64", [1, 2, 3])
case("i64", [-1, 20, 300])
case("i64", [-(2**63), 2**63 - 1, 0])
case("i32", [-(2**31), 2**31 - 1])
case("i16", [-(2**15), 2**15 - 1])
case("i8", [-128, 127])
case("u8", [0, 255])
case("u16", [0, 65535])
case("u32", [0, 2**32 - 1])
case("u64", [0, 2**64 - 1])

# Empty.
for name in ("f32", "f64", "i64", "i32"):
    for sizes in [[0], [0, 3], [3, 0], [2, 0, 4], [0, 0, 0, 0]]:
        case(name, [0], sizes)

# Rows that wrap, and a dtype that no longer fits on the last line.
for name in ("f32", "f64", "i64", "i32", "u8"):
    for n in [1, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17, 18, 24, 25, 40, 100]:
        if name in FLOATS:
            case(name, [round(random.gauss(0, 1), 3) for _ in range(n)])
            case(name, [float(random.randrange(10)) for _ in range(n)])
        else:
            case(name, [random.randrange(100) for _ in range(n)])
    for width in range(1, 9):
        if name != "u8":
            case(name, [10**width - 1], [12, 8 // width])
            case(name, [10**width - 1], [80 // (width + 2)])
case("f64", [1e100, 1e-100], [40])
case("i64", [-(2**63)], [3, 4])

# Nesting.
for name in ("f32", "f64", "i64", "i32"):
    whole = [random.randrange(-50, 50) for _ in range(29)]
    values = [x / 7 for x in whole] if name in FLOATS else whole
    for sizes in [[1, 1], [2, 3], [3, 2], [1, 12], [12, 1], [2, 15], [2, 2, 3], [1, 1, 1], [3, 1, 2], [2, 2, 2, 2],
                  [1, 2, 1, 20], [2, 1, 2, 1, 2], [1, 1, 1, 1, 1, 1], [2, 1, 2, 1, 2, 12]]:  # fmt: skip
        case(name, values, sizes)

# Around the thousand elements from which the middle is left out.
for name in ("f32", "f64", "i64", "i32"):
    values = [x / 3 for x in range(-18, 19)] if name in FLOATS else list(range(-18, 19))
    for sizes in [[1001], [7, 143], [6, 167], [1, 1001], [1001, 1], [2, 501], [501, 2], [40, 40], [3, 7, 50],
                  [20, 10, 10], [1, 1, 1001]]:  # fmt: skip
        case(name, values, sizes)
    if name in ("f32", "i32"):
        for sizes in [[1000], [10, 100], [7, 3, 50], [8, 8, 8, 8]]:
            case(name, values, sizes)
case("f32", [x / 3 for x in range(-18, 19)], [7, 1, 7, 1, 50])
case("f64", [x / 3 for x in range(-18, 19)], [7, 1, 2, 7, 1, 20])
case("i64", list(range(1001)))
# Only the numbers shown decide on the format and the width.
case("f32", [1.0, 2.0, 3.0] + [0.5] * 995 + [4.0, 5.0, 6.0])
case("f32", [1.0, 2.0, 3.0] + [0.5] * 994 + [4.0, 5.0, 6.0])
case("i64", [1, 2, 3] + [1234] * 995 + [4, 5, 6])
case("f64", [1e-20, 1.0, nan, 1e250, -1.0], [33, 34])

# Other precisions.
for precision in [0, 1, 2, 3, 6, 10]:
    case("f32", [0.5, 1.5, 2.25, -3.125, 1000 / 3], precision=precision)
    case("f64", [1e-7, 2.0, 12345.678], precision=precision)
    case("f64", [1.0, 2.0], precision=precision)
    case("f32", [x / 9 for x in range(-9, 30)], [2, 30], precision)

# Random values over random spans of magnitude.
for _ in range(250):
    name = random.choice(FLOATS)
    low = random.randrange(-6, 9)
    high = low + random.randrange(0, 6)
    kind = random.choice(["any", "any", "whole", "special"])
    values = []
    for _ in range(random.choice([1, 2, 3, 5, 8, 13])):
        x = random.choice([-1, 1, 1]) * 10 ** random.uniform(low, high)
        if kind == "whole":
            x = float(round(x))
        if kind == "special" and random.random() < 0.3:
            x = random.choice([0.0, -0.0, inf, -inf, nan])
        values.append(x)
    rows = random.choice([1, 1, 2, 3])
    case(name, values, random.choice([[len(values)], [rows, len(values)], [2, rows, len(values)]]))
for _ in range(60):
    name = random.choice([name for name in TYPES if name not in FLOATS])
    info = torch.iinfo(TYPES[name])
    span = 10 ** random.randrange(1, 19)
    values = [random.randrange(max(info.min, -span), min(info.max, span) + 1) for _ in range(random.randrange(1, 20))]
    case(name, values, [random.choice([1, 2]), len(values)])

TARGET.parent.mkdir(exist_ok=True)
TARGET.write_text("".join(cases))
print(f"{len(cases)} cases, {TARGET.stat().st_size} bytes")
