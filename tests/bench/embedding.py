#!/usr/bin/env python3
"""Compares the plugin `embedding` with onnxruntime and the Python package tokenizers in one process.
`cargo xtask bench inference` runs it, with the packages of `requirements.txt`; alone:

    tests/bench/embedding.py --binary PATH_OF_MESHHOST

Both embed the same 32 sentences of 3 to 45 words with the same file, `target/models/minilm/model.onnx`, and
the same number of threads; the plugin as one call of a node that serves, started here with a data directory of
its own, Python with the model and the tokenizer loaded before, all sentences in one padded batch as
sentence-transformers takes them, and then sorted in batches of 8. Printed are the medians of the rounds: of the
call as the node measures it, of the model's runs in it, and of Python; how many times as fast as Python the call
is; and the smallest cosine between the vectors of both. The rounds alternate.
"""

import json
import random
import statistics
import time

import figures
import numpy as np
import onnxruntime
import tokenizers

TOKENS_MAX = 256
# Sentences at once in Python: those of sentence-transformers, and fewer, which saves padding.
BATCHES = (32, 8)
WORDS = """the a of in on for with and river bank certificate server engine garden committee results during winter
quarterly report describes how unexpected temperature changes affect small villages near mountains while researchers
measure water levels every morning before breakfast software updates require careful planning""".split()


def sentences(number):
    """Different ones for each round: no answer is kept from the one before."""
    chance = random.Random(number)
    return [" ".join(chance.choices(WORDS, k=chance.randint(3, 45))).capitalize() + "." for _ in range(32)]


class Python:
    """The published method."""

    def __init__(self, threads):
        package = figures.ROOT / "target/models/minilm"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(package / "model.onnx", options, ["CPUExecutionProvider"])
        self.tokenizer = tokenizers.Tokenizer.from_file(str(package / "tokenizer.json"))
        self.tokenizer.enable_truncation(TOKENS_MAX)
        self.tokenizer.enable_padding()

    def embed(self, texts, at_once):
        """Sorted by length, so many at once."""
        order = sorted(range(len(texts)), key=lambda place: -len(texts[place]))
        vectors = np.empty((len(texts), 384), np.float32)
        for begin in range(0, len(texts), at_once):
            places = order[begin : begin + at_once]
            vectors[places] = self.batch([texts[place] for place in places])
        return vectors

    def batch(self, texts):
        encoded = self.tokenizer.encode_batch(texts)
        kinds = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
        inputs = {name: np.array([getattr(it, kind) for it in encoded], np.int64) for name, kind in kinds.items()}
        (states,) = self.session.run(["last_hidden_state"], inputs)
        mask = inputs["attention_mask"][..., np.newaxis].astype(np.float32)
        mean = (states * mask).sum(axis=1) / mask.sum(axis=1)
        return mean / np.linalg.norm(mean, axis=1, keepdims=True)


def main():
    parser = figures.arguments(__doc__)
    figures.node_arguments(parser)
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    figures.need(figures.ROOT / "target/models/minilm/model.onnx")
    python, found = Python(options.threads), {"node": [], "python": [], "cosine": []}
    with figures.Node(options, "embedding", "minilm") as node:
        for number in range(options.rounds + 3):
            texts = sentences(number)
            spent = {}
            for at_once in BATCHES:
                begun = time.perf_counter()
                expected = python.embed(texts, at_once)
                spent[at_once] = (time.perf_counter() - begun) * 1000
            answer = node.call("embedding.embed", "texts:=" + json.dumps(texts))
            if number < 3:
                continue
            vectors = np.array(answer["data"]["vectors"])
            found["node"].append(answer)
            found["python"].append(spent)
            found["cosine"].append(float((vectors * expected).sum(axis=1).min()))
    figure = figures.Figure("inference: embeddings")
    report(figure, found)
    figure.print(options.json)


def report(figure, found):
    last = found["node"][-1]
    calls, runs = zip(*map(figures.spent, found["node"]))
    how = f"{last['models'][0]['engine']}, {last['models'][0]['runs']} runs, {last['usage']['fuel']} fuel"
    figure.shown("32 sentences, the call", f"{statistics.median(calls):.1f} ms, fastest {min(calls):.1f} ms", how)
    figure.shown("  of it the model's runs", f"{statistics.median(runs):.1f} ms, fastest {min(runs):.1f} ms")
    for at_once in BATCHES:
        python = [spent[at_once] for spent in found["python"]]
        times = statistics.median(other / one for other, one in zip(python, calls))
        text = f"{statistics.median(python):.1f} ms, fastest {min(python):.1f} ms"
        figure.shown(f"onnxruntime and tokenizers, {at_once} at once", text)
        if at_once == BATCHES[0]:
            figure.must("the call beside that", f"{times:.2f} times as fast", "≥ 1.0 times", times >= 1)
        else:
            figure.shown("the call beside that", f"{times:.2f} times as fast")
    cosine = min(found["cosine"])
    figure.must("smallest cosine of both vectors", f"{cosine:.6f}", "≥ 0.999", cosine >= 0.999)


if __name__ == "__main__":
    main()
