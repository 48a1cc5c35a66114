"""The encoder of BERT as ONNX: GELU by the error function, norms after the residuals.

Three inputs, int64 [batch, sequence]: input_ids, attention_mask (1 for a token, 0 for padding),
token_type_ids. Query, key and value are one product, and the scale of the scores is inside the weights of
the query: the numbers are the same, and an engine multiplies one large matrix where there were three.
"""

import numpy as np
from onnx import TensorProto

from graph import integers

# Added to the score of padding: the softmax of it is 0 in float32.
PADDING = -10000.0


def inputs():
    """What the graph takes."""
    return [integers(name, "batch", "sequence") for name in ("input_ids", "attention_mask", "token_type_ids")]


class Encoder:
    """Adds the encoder to a graph. `prefix` stands before the name of every weight."""

    def __init__(self, graph, layers, heads, width, epsilon, prefix=""):
        self.graph = graph
        self.layers, self.heads, self.width, self.epsilon = layers, heads, width, epsilon
        self.prefix = prefix

    def states(self):
        """The name of the states after the last layer, [batch, sequence, width]."""
        hidden = self.embeddings(f"{self.prefix}embeddings")
        bias = self.padding_bias()
        for number in range(self.layers):
            hidden = self.layer(f"{self.prefix}encoder.layer.{number}", hidden, bias)
        return hidden

    def embeddings(self, name):
        """The sum of a token's vectors for word, position and sentence."""
        graph = self.graph
        words = graph.node("Gather", [graph.weight(f"{name}.word_embeddings.weight"), "input_ids"], "word")
        kinds = graph.node("Gather", [graph.weight(f"{name}.token_type_embeddings.weight"), "token_type_ids"], "kind")
        length = graph.node("Shape", ["input_ids"], "length", start=1, end=2)
        table = graph.weight(f"{name}.position_embeddings.weight")
        places = graph.node("Slice", [table, graph.numbers("first", 0), length, graph.numbers("rows", 0)], "place")
        both = graph.node("Add", [words, kinds], f"{name}.words")
        total = graph.node("Add", [both, places], f"{name}.sum")
        return graph.norm(f"{name}.LayerNorm", total, self.epsilon)

    def padding_bias(self):
        """What is added to every score, [batch, 1, 1, sequence]."""
        graph = self.graph
        mask = graph.node("Cast", ["attention_mask"], "mask.float", to=TensorProto.FLOAT)
        padded = graph.node("Sub", [graph.constant("one", np.float32(1)), mask], "mask.padded")
        bias = graph.node("Mul", [padded, graph.constant("padding", np.float32(PADDING))], "mask.bias")
        return graph.node("Unsqueeze", [bias, graph.numbers("mask.axes", 1, 2)], "mask")

    def layer(self, name, hidden, bias):
        """Attention and feed-forward, each with its residual and norm."""
        graph = self.graph
        attended = self.attention(f"{name}.attention", hidden, bias)
        attended = graph.linear(f"{name}.attention.output.dense", attended)
        attended = graph.node("Add", [attended, hidden], f"{name}.attention.residual")
        attended = graph.norm(f"{name}.attention.output.LayerNorm", attended, self.epsilon)
        wide = gelu(graph, f"{name}.gelu", graph.linear(f"{name}.intermediate.dense", attended))
        narrow = graph.linear(f"{name}.output.dense", wide)
        narrow = graph.node("Add", [narrow, attended], f"{name}.residual")
        return graph.norm(f"{name}.output.LayerNorm", narrow, self.epsilon)

    def attention(self, name, hidden, bias):
        """All heads at once; [batch, sequence, width] in and out."""
        graph, heads = self.graph, self.heads
        matrix, offset = (graph.constant(f"{name}.{kind}", value) for kind, value in self.joined(name))
        product = graph.node("MatMul", [hidden, matrix], f"{name}.product")
        product = graph.node("Add", [product, offset], f"{name}.all")
        # 0 keeps a dimension: no shape is computed at run time.
        parted = graph.numbers("heads", 0, 0, 3 * heads, self.width // heads)
        product = graph.node("Reshape", [product, parted], f"{name}.heads")
        product = graph.node("Transpose", [product], f"{name}.by_head", perm=[0, 2, 1, 3])
        outputs = [f"{name}.{part}" for part in ("query", "key", "value")]
        sizes = graph.numbers("sizes", heads, heads, heads)
        query, key, value = graph.node("Split", [product, sizes], f"{name}.parts", outputs, axis=1)
        key = graph.node("Transpose", [key], f"{name}.key.turned", perm=[0, 1, 3, 2])
        scores = graph.node("MatMul", [query, key], f"{name}.scores")
        scores = graph.node("Add", [scores, bias], f"{name}.masked")
        scores = graph.node("Softmax", [scores], f"{name}.softmax", axis=-1)
        mixed = graph.node("MatMul", [scores, value], f"{name}.mixed")
        mixed = graph.node("Transpose", [mixed], f"{name}.by_token", perm=[0, 2, 1, 3])
        return graph.node("Reshape", [mixed, graph.numbers("joined", 0, 0, self.width)], f"{name}.joined")

    def joined(self, name):
        """The matrix and the offset that give query, key and value side by side."""
        scale, weights = np.float32((self.width // self.heads) ** -0.5), self.graph.weights
        for kind in ("weight", "bias"):
            query, key, value = (weights[f"{name}.self.{part}.{kind}"] for part in ("query", "key", "value"))
            yield kind, np.concatenate([query * scale, key, value]).T


def gelu(graph, name, value):
    """x / 2 * (1 + erf(x / sqrt 2)), in the form that engines know to fuse."""
    inner = graph.node("Div", [value, graph.constant("root", np.float32(2**0.5))], f"{name}.inner")
    inner = graph.node("Erf", [inner], f"{name}.erf")
    inner = graph.node("Add", [inner, graph.constant("one", np.float32(1))], f"{name}.sum")
    inner = graph.node("Mul", [value, inner], f"{name}.times")
    return graph.node("Mul", [inner, graph.constant("half", np.float32(0.5))], name)
