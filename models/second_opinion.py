"""The encoder of BERT once more, as its description reads, slowly: what the exported files are checked with.

It shares no line with bert.py: numpy in float64, one text at a time, one head at a time, without padding.
"""

import math

import numpy as np


class Encoder:
    """`prefix` stands before the name of every weight."""

    def __init__(self, weights, layers, heads, epsilon, prefix=""):
        self.weights = {name: value.astype(np.float64) for name, value in weights.items()}
        self.layers, self.heads, self.epsilon, self.prefix = layers, heads, epsilon, prefix

    def run(self, ids, sides=None):
        """One vector for each token of a text, or of a pair, whose tokens `sides` tells apart."""
        table = f"{self.prefix}embeddings.{{}}_embeddings.weight".format
        hidden = np.stack([
            self.weights[table("word")][token]
            + self.weights[table("position")][place]
            + self.weights[table("token_type")][sides[place] if sides else 0]
            for place, token in enumerate(ids)
        ])
        hidden = self.norm(f"{self.prefix}embeddings.LayerNorm", hidden)
        for number in range(self.layers):
            name = f"{self.prefix}encoder.layer.{number}"
            attended = self.linear(f"{name}.attention.output.dense", self.attention(f"{name}.attention.self", hidden))
            hidden = self.norm(f"{name}.attention.output.LayerNorm", hidden + attended)
            wide = self.linear(f"{name}.intermediate.dense", hidden)
            wide = np.vectorize(lambda x: x * 0.5 * math.erfc(-x / math.sqrt(2)))(wide)
            hidden = self.norm(f"{name}.output.LayerNorm", hidden + self.linear(f"{name}.output.dense", wide))
        return hidden

    def attention(self, name, hidden):
        query, key, value = (self.linear(f"{name}.{part}", hidden) for part in ("query", "key", "value"))
        width = hidden.shape[1] // self.heads
        heads = []
        for head in range(self.heads):
            columns = slice(head * width, (head + 1) * width)
            scores = np.exp(query[:, columns] @ key[:, columns].T / math.sqrt(width))
            heads.append(scores / scores.sum(axis=1, keepdims=True) @ value[:, columns])
        return np.concatenate(heads, axis=1)

    def linear(self, name, value):
        return np.einsum("oi,ti->to", self.weights[f"{name}.weight"], value) + self.weights[f"{name}.bias"]

    def norm(self, name, value):
        centred = value - value.mean(axis=1, keepdims=True)
        scaled = centred / np.sqrt(value.var(axis=1, keepdims=True) + self.epsilon)
        return scaled * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]
