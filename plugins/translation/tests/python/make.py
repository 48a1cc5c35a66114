"""Writes the files of the tests: make.py FOLDER

The random model in Optimum's two layouts, what the search without cache and batches finds with it, and
vocabularies of SentencePiece with what its own library makes of texts.
"""

import json
import sys
from pathlib import Path

import numpy as np
from onnx import helper

import random_model
import marian  # isort: skip
import export  # isort: skip
from graph import OPSET, IR_VERSION, Graph, integers, floats  # isort: skip
from search import Rules, search

import onnx
import vocabularies


def single(weights, with_past, path):
    """The decoder as one of two files."""
    outer = Graph(weights)
    inner = export.branch(outer, with_past)
    caches = export.caches("present", "encoder_sequence_length")
    logits = floats("logits", "batch_size", "decoder_sequence_length", random_model.VOCABULARY)
    inputs = [
        integers("encoder_attention_mask", "batch_size", "encoder_sequence_length"),
        integers("input_ids", "batch_size", "decoder_sequence_length"),
    ]
    if with_past:
        inputs += export.caches("past_key_values", "encoder_sequence_length_out")
        caches = [cache for cache in caches if ".decoder." in cache.name]
    else:
        inputs.append(
            floats("encoder_hidden_states", "batch_size", "encoder_sequence_length", marian.WIDTH))
    constants = [*outer.constants.values(), *inner.constants.values()]
    graph = helper.make_graph(inner.nodes, "decoder", inputs, [logits, *caches], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.save(model, path)


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    weights = random_model.weights()
    arrays = {name: value.data for name, value in weights.items()}
    export.encoder(arrays, folder / "encoder_model.onnx")
    export.decoder(arrays, random_model.VOCABULARY, folder / "decoder_model_merged.onnx")
    single(arrays, False, folder / "decoder_model.onnx")
    single(arrays, True, folder / "decoder_with_past_model.onnx")
    model = marian.Marian(weights)
    sentences = random_model.sentences()
    cases = []
    for name, rules in random_model.rules().items():
        found = []
        for sentence in sentences:
            tokens, score = search(random_model.likelihoods(model, sentence), Rules(**rules))
            found.append({"tokens": tokens, "score": float(np.float32(score))})
        cases.append({"name": name, "rules": rules, "found": found})
    text = json.dumps({"sentences": sentences, "cases": cases}, indent=None, separators=(",", ":"))
    (folder / "search.json").write_text(text.replace('{"name"', '\n{"name"') + "\n", encoding="utf-8")
    vocabularies.write(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
