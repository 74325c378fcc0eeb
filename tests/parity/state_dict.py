"""Parameters between PyTorch and Plywood, both ways. Needs `torch` and `safetensors`.

    python tests/parity/state_dict.py

writes tests/parity/fixtures/state_dict_f32.* and state_dict_f64.*: a network's parameters as PyTorch saves them
(.safetensors), and its output for an input (.txt: a line of numbers each, row-major). tests/tests/state_dict.rs reads
them. The committed files were made with torch 2.15 and safetensors 0.8.

    python tests/parity/state_dict.py --check FILE…

loads files that Plywood wrote into the same network and compares its output with that in the .txt beside each.
`cargo test -p plywood-tests --test state_dict` writes such files to target/tmp/state_dict_f32.safetensors and
target/tmp/state_dict_f64.safetensors.
"""

import pathlib
import sys
from collections import OrderedDict

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.nn import Linear, ReLU, Sequential, Tanh

FIXTURES = pathlib.Path(__file__).parent / "fixtures"


def network():
    encoder = Sequential(Linear(4, 8), Tanh())
    return Sequential(OrderedDict([("encoder", encoder), ("1", Linear(8, 5)), ("2", ReLU()), ("out", Linear(5, 3))]))


def text_of(tensor):
    return " ".join(repr(x) for x in tensor.flatten().tolist())


def write():
    torch.manual_seed(0)
    for name, dtype in [("f32", torch.float32), ("f64", torch.float64)]:
        model = network().to(dtype)
        x = torch.randn(6, 4, dtype=dtype)
        with torch.no_grad():
            y = model(x)
        FIXTURES.mkdir(exist_ok=True)
        save_file(model.state_dict(), FIXTURES / f"state_dict_{name}.safetensors", metadata={"format": "pt"})
        (FIXTURES / f"state_dict_{name}.txt").write_text(f"{text_of(x)}\n{text_of(y)}\n")


def check(path):
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    assert metadata == {"format": "pt"}, metadata
    state = load_file(path)
    dtype = state["out.weight"].dtype
    model = network().to(dtype)
    model.load_state_dict(state, strict=True)
    x, expected = (torch.tensor([float(x) for x in line.split()], dtype=dtype) for line in path.with_suffix(".txt").open())
    with torch.no_grad():
        y = model(x.reshape(-1, 4))
    print(path.name, dtype, metadata, list(state))
    print("PyTorch:", y)
    print("Plywood:", expected.reshape(-1, 3))
    print("largest difference:", (y.flatten() - expected).abs().max().item())
    torch.testing.assert_close(y.flatten(), expected)


if sys.argv[1:2] == ["--check"] and sys.argv[2:]:
    for path in sys.argv[2:]:
        check(pathlib.Path(path))
elif not sys.argv[1:]:
    write()
else:
    sys.exit(__doc__)
