"""Trains the model, writes its files and checks them: make.py UNUSED FOLDER"""

import sys
from pathlib import Path

from check import check
from export import export
from train import train

if __name__ == "__main__":
    folder = Path(sys.argv[2])
    vocabulary, weights = train(lambda line: print(line, flush=True))
    weights = {name: value.data for name, value in weights.items()}
    vocabulary.write(folder / "tokenizer.json")
    export(weights, folder / "model.onnx")
    print(check(vocabulary, weights, folder))
