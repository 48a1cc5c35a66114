"""Checks the ONNX file against the weights.

The second opinion is second_opinion.py; ONNX Runtime gets the same sentences as one padded batch. Every
token's vector may differ by DIFFERENCE_MAX, every sentence's cosine must reach COSINE_MIN, and sentences
that mean the same must be closer than those that do not.
"""

import json
import re

import numpy as np
import onnxruntime

from second_opinion import Encoder
from weights import HEADS, LAYERS, NORM_EPSILON

DIFFERENCE_MAX = 1e-4
COSINE_MIN = 0.9999

SENTENCES = [
    "Paris",
    "The cat sits on the mat.",
    "A kitten is resting on a rug.",
    "How do I renew the certificate of a mail server before it expires?",
    "What has to be done so that the TLS certificate for our mail server does not run out?",
    "Interest rates rose by a quarter of a point, the central bank said; analysts had expected more, and the "
    "currency fell against the dollar in early trading before it recovered in the afternoon.",
]
# Pairs of SENTENCES that mean nearly the same.
ALIKE = [(1, 2), (3, 4)]


class Tokenizer:
    """WordPiece for plain English: what the sentences above need, and no more."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.vocabulary = json.load(file)["model"]["vocab"]

    def ids(self, text):
        words = re.findall(r"\w+|[^\w\s]", text.lower())
        pieces = ["[CLS]", *(piece for word in words for piece in self.pieces(word)), "[SEP]"]
        return [self.vocabulary[piece] for piece in pieces]

    def pieces(self, word):
        """The longest piece in the vocabulary, then the longest of the rest."""
        begin = 0
        while begin < len(word):
            prefix = "##" if begin else ""
            ends = range(len(word), begin, -1)
            end = next(end for end in ends if prefix + word[begin:end] in self.vocabulary)
            yield prefix + word[begin:end]
            begin = end


def batch(sentences):
    """The model's three inputs for sentences of differing lengths."""
    shape = (len(sentences), max(map(len, sentences)))
    inputs = {name: np.zeros(shape, np.int64) for name in ("input_ids", "attention_mask", "token_type_ids")}
    for row, ids in enumerate(sentences):
        inputs["input_ids"][row, : len(ids)] = ids
        inputs["attention_mask"][row, : len(ids)] = 1
    return inputs


def pooled(tokens):
    """The mean of the tokens, of length 1."""
    mean = tokens.mean(axis=0)
    return mean / np.linalg.norm(mean)


def check(weights, tokenizer, model):
    """The largest difference and the smallest cosine; an error where they are not good enough."""
    sentences = [tokenizer.ids(text) for text in SENTENCES]
    encoder = Encoder(weights, LAYERS, HEADS, NORM_EPSILON)
    expected = [encoder.run(ids) for ids in sentences]
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (rows,) = session.run(["last_hidden_state"], batch(sentences))
    found = [row[: len(ids)] for row, ids in zip(rows, sentences)]
    difference = max(np.abs(one - other).max() for one, other in zip(expected, found))
    vectors = [pooled(tokens) for tokens in found]
    cosine = min(float(pooled(one) @ other) for one, other in zip(expected, vectors))
    if not (difference <= DIFFERENCE_MAX and cosine >= COSINE_MIN):
        raise SystemExit(f"the model differs from its weights: by {difference:.2e}, cosine {cosine:.6f}")
    pairs = [(a, b) for a in range(len(vectors)) for b in range(a)]
    apart = max(float(vectors[a] @ vectors[b]) for a, b in pairs if (b, a) not in ALIKE)
    alike = min(float(vectors[a] @ vectors[b]) for a, b in ALIKE)
    if alike <= apart:
        raise SystemExit(f"sentences that mean the same are no closer than others: {alike:.3f}, {apart:.3f}")
    return f"differs by {difference:.1e}, cosine {cosine:.7f}; alike {alike:.2f}, others at most {apart:.2f}"
