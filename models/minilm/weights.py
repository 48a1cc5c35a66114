"""What the model's own files say: its sizes (config.json) and its weights."""

import json

import numpy as np

LAYERS = 6
HEADS = 12
HIDDEN = 384
NORM_EPSILON = 1e-12

# The format's limit for its header is 100 MB; this model's is 10 kB.
HEADER_BYTES_MAX = 1 << 20


def read_safetensors(path):
    """The tensors of a file by name; all of them are float32 here, but for one that no layer reads."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > HEADER_BYTES_MAX:
            raise ValueError(f"{path}: a header of {length} bytes")
        header = json.loads(file.read(length))
        data = file.read()
    weights = {}
    for name, tensor in header.items():
        if name != "__metadata__" and tensor["dtype"] == "F32":
            begin, end = tensor["data_offsets"]
            weights[name] = np.frombuffer(data[begin:end], "<f4").reshape(tensor["shape"])
    return weights
