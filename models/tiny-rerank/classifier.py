"""The architecture of BERT for the classification of sentences, with one label: the forward pass for training."""

import numpy as np

import autograd as ag

WIDTH = 64
HEADS = 4
WIDE = 128
LAYERS = 2
NORM_EPSILON = 1e-12
POSITIONS_MAX = 128
# Added to the score of padding: the softmax of it is 0.
HIDDEN_SCORE = np.float32(-10000)


def new_weights(vocabulary, random):
    """Weights before training, under the names that such models use."""
    weights = {}

    def linear(name, inputs, outputs):
        weights[f"{name}.weight"] = random.normal(0, (2 / (inputs + outputs)) ** 0.5, (outputs, inputs))
        weights[f"{name}.bias"] = np.zeros(outputs)

    def norm(name):
        weights[f"{name}.weight"] = np.ones(WIDTH)
        weights[f"{name}.bias"] = np.zeros(WIDTH)

    for kind, rows in (("word", vocabulary), ("position", POSITIONS_MAX), ("token_type", 2)):
        weights[f"bert.embeddings.{kind}_embeddings.weight"] = random.normal(0, 0.5, (rows, WIDTH))
    norm("bert.embeddings.LayerNorm")
    for number in range(LAYERS):
        layer = f"bert.encoder.layer.{number}"
        for part in ("query", "key", "value"):
            linear(f"{layer}.attention.self.{part}", WIDTH, WIDTH)
        linear(f"{layer}.attention.output.dense", WIDTH, WIDTH)
        norm(f"{layer}.attention.output.LayerNorm")
        linear(f"{layer}.intermediate.dense", WIDTH, WIDE)
        linear(f"{layer}.output.dense", WIDE, WIDTH)
        norm(f"{layer}.output.LayerNorm")
        # At first a token looks at those that are the same: that is what the training builds on.
        weights[f"{layer}.attention.self.key.weight"] = weights[f"{layer}.attention.self.query.weight"].copy()
    linear("bert.pooler.dense", WIDTH, WIDTH)
    linear("classifier", WIDTH, 1)
    return {name: ag.Value(value.astype(np.float32)) for name, value in weights.items()}


class Classifier:
    """One number for each row: how well its second side answers its first."""

    def __init__(self, weights):
        self.weights = weights

    def run(self, ids, sides, mask):
        """`mask` is 1 for a token, 0 for padding; [batch, 1]."""
        states = self.embed(ids, sides)
        hidden = np.where(mask[:, np.newaxis, np.newaxis] == 0, HIDDEN_SCORE, np.float32(0))
        for number in range(LAYERS):
            states = self.layer(f"bert.encoder.layer.{number}", states, hidden)
        pooled = ag.tanh(self.linear("bert.pooler.dense", ag.first(states)))
        return self.linear("classifier", pooled)

    def embed(self, ids, sides):
        places = np.arange(ids.shape[1])
        tables = (self.weights[f"bert.embeddings.{kind}_embeddings.weight"] for kind in ("word", "position", "token_type"))
        words, positions, types = (ag.gather(table, rows) for table, rows in zip(tables, (ids, places, sides)))
        return self.norm("bert.embeddings.LayerNorm", ag.add(ag.add(words, types), positions))

    def layer(self, name, states, hidden):
        parts = (self.heads(self.linear(f"{name}.attention.self.{part}", states)) for part in ("query", "key", "value"))
        query, key, value = parts
        scores = ag.scale(ag.matmul(query, ag.transpose(key, (0, 1, 3, 2))), (WIDTH // HEADS) ** -0.5)
        mixed = ag.transpose(ag.matmul(ag.softmax(ag.shift(scores, hidden)), value), (0, 2, 1, 3))
        mixed = self.linear(f"{name}.attention.output.dense", ag.reshape(mixed, states.data.shape))
        states = self.norm(f"{name}.attention.output.LayerNorm", ag.add(states, mixed))
        wide = ag.gelu(self.linear(f"{name}.intermediate.dense", states))
        return self.norm(f"{name}.output.LayerNorm", ag.add(states, self.linear(f"{name}.output.dense", wide)))

    def heads(self, states):
        batch, length, _ = states.data.shape
        return ag.transpose(ag.reshape(states, (batch, length, HEADS, WIDTH // HEADS)), (0, 2, 1, 3))

    def linear(self, name, states):
        turned = ag.transpose(self.weights[f"{name}.weight"], (1, 0))
        return ag.add(ag.matmul(states, turned), self.weights[f"{name}.bias"])

    def norm(self, name, states):
        return ag.norm(states, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], NORM_EPSILON)
