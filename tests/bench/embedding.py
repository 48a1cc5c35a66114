#!/usr/bin/env python3
"""Compares the plugin `embedding` with onnxruntime and the Python package tokenizers in one process.

    python3 -m venv target/embedding-venv
    target/embedding-venv/bin/pip install onnxruntime==1.31.1 tokenizers
    target/embedding-venv/bin/python tests/bench/embedding.py --binary PATH_OF_MESHHOST

Both embed the same 32 sentences of 3 to 45 words with the same file, `target/models/minilm/model.onnx`, and
the same number of threads; the plugin as one call of a node that serves, started here with a data directory of
its own, Python with the model and the tokenizer loaded before, all sentences in one padded batch as
sentence-transformers takes them, and then sorted in batches of 8. Printed are the median and the fastest of the rounds in milliseconds: of the call
as the node measures it, of the model's runs in it, of the rest of it, and of Python; how many times as fast as
Python the call is; the engine, the fuel and the runs of the last call; and the smallest cosine between the vectors of
both. The rounds alternate.
"""

import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import tempfile
import time

import numpy as np
import onnxruntime
import tokenizers

ROOT = pathlib.Path(__file__).resolve().parents[2]
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
        package = ROOT / "target" / "models" / "minilm"
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


class Node:
    """A node with the plugin and its model."""

    def __init__(self, binary, component, data, threads, library):
        self.command = [binary, "--data", data]
        configuration = pathlib.Path(data).parent / "bench.toml"
        library = f"library = {json.dumps(os.path.abspath(library))}\n" if library else ""
        configuration.write_text(f"[inference]\nthreads = {threads}\n{library}", encoding="utf-8")
        self.command += ["--config", str(configuration)]
        self.run("model", "add", "minilm", "--from", str(ROOT / "target" / "models" / "minilm"))
        self.run("plugin", "install", component, "--yes")
        serve = [*self.command, "serve", "--allow-root"]
        self.serving = subprocess.Popen(serve, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.command = self.command[:3]

    def run(self, *arguments):
        return subprocess.run([*self.command, *arguments], check=True, capture_output=True, text=True).stdout

    def embed(self, texts):
        texts = "texts:=" + json.dumps(texts)
        return json.loads(self.run("--json", "call", "embedding.embed", texts))

    def end(self):
        self.serving.terminate()
        self.serving.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(ROOT / "target" / "release" / "meshhost"))
    parser.add_argument("--component", default="embedding", help="the plugin: a name or a file")
    parser.add_argument("--library", help="ONNX Runtime's library; without it the embedded engine runs")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    python, found = Python(options.threads), {"node": [], "python": [], "cosine": []}
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "data")
        node = Node(options.binary, options.component, data, options.threads, options.library)
        try:
            for number in range(options.rounds + 3):
                texts = sentences(number)
                spent = {}
                for at_once in BATCHES:
                    begun = time.perf_counter()
                    expected = python.embed(texts, at_once)
                    spent[at_once] = (time.perf_counter() - begun) * 1000
                answer = node.embed(texts)
                if number < 3:
                    continue
                vectors = np.array(answer["data"]["vectors"])
                found["node"].append(answer)
                found["python"].append(spent)
                found["cosine"].append(float((vectors * expected).sum(axis=1).min()))
        finally:
            node.end()
    report(found)


def report(found):
    last = found["node"][-1]
    print(f"{last['models'][0]['engine']}, {last['models'][0]['runs']} runs, {last['usage']['fuel']} fuel")
    call = [answer["usage"]["wall_us"] / 1000 for answer in found["node"]]
    runs = [answer["models"][0]["run_us"] / 1000 for answer in found["node"]]
    rest = [one - other for one, other in zip(call, runs)]
    python = {f"Python, {at_once}": [spent[at_once] for spent in found["python"]] for at_once in BATCHES}
    for name, values in {"call": call, "its runs": runs, "the rest": rest, **python}.items():
        print(f"{name:10} median {statistics.median(values):8.1f} ms, fastest {min(values):8.1f} ms")
    for name, values in python.items():
        times = statistics.median(other / one for other, one in zip(values, call))
        print(f"median of the rounds: {times:.2f} times as fast as {name} at once")
    print(f"smallest cosine {min(found['cosine']):.6f}")


if __name__ == "__main__":
    main()
