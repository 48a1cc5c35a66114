"""Trains the model, writes its files and checks them: make.py UNUSED FOLDER"""

import sys
from pathlib import Path

from check import check
from export import export
from train import sentences, train

if __name__ == "__main__":
    folder = Path(sys.argv[2])
    vocabulary, weights = train(lambda line: print(line, flush=True))
    vocabulary.write(folder / "tokenizer.json")
    export(vocabulary, {name: value.data for name, value in weights.items()}, folder)
    _, unseen = sentences()
    print(check(vocabulary, weights, folder, unseen))
