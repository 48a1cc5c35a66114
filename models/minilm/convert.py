"""Writes all-MiniLM-L6-v2 as ONNX.

The graph is the encoder of BERT as its configuration gives it: 6 layers, 12 heads of 32, GELU by the
error function. Three inputs, int64 [batch, sequence]: input_ids, attention_mask (1 for a token, 0 for
padding), token_type_ids. One output: last_hidden_state, float32 [batch, sequence, 384]. Pooling is the
caller's.

Query, key and value are one product, and the scale of the scores is inside the weights of the query:
the numbers are the same, and an engine multiplies one large matrix where there were three.
"""

import numpy as np
from onnx import TensorProto

from graph import Graph, floats, integers
from weights import HEADS, HIDDEN, LAYERS, NORM_EPSILON

# Added to the score of padding: the softmax of it is 0 in float32.
PADDING = -10000.0


def convert(weights, path):
    """Writes the model, with the weights inside."""
    graph = Graph(weights)
    hidden = embeddings(graph)
    bias = padding_bias(graph)
    for number in range(LAYERS):
        hidden = layer(graph, f"encoder.layer.{number}", hidden, bias)
    # An output has a name of its own.
    graph.node("Identity", [hidden], "last_hidden_state")
    names = ("input_ids", "attention_mask", "token_type_ids")
    inputs = [integers(name, "batch", "sequence") for name in names]
    outputs = [floats("last_hidden_state", "batch", "sequence", HIDDEN)]
    graph.save("all-MiniLM-L6-v2", inputs, outputs, path)


def embeddings(graph):
    """The sum of a token's vectors for word, position and sentence."""
    words = graph.node("Gather", [graph.weight("embeddings.word_embeddings.weight"), "input_ids"], "word")
    kinds = graph.node("Gather", [graph.weight("embeddings.token_type_embeddings.weight"), "token_type_ids"], "kind")
    length = graph.node("Shape", ["input_ids"], "length", start=1, end=2)
    table = graph.weight("embeddings.position_embeddings.weight")
    places = graph.node("Slice", [table, graph.numbers("first", 0), length, graph.numbers("rows", 0)], "place")
    both = graph.node("Add", [words, kinds], "embeddings.words")
    total = graph.node("Add", [both, places], "embeddings.sum")
    return graph.norm("embeddings.LayerNorm", total, NORM_EPSILON)


def padding_bias(graph):
    """What is added to every score, [batch, 1, 1, sequence]."""
    mask = graph.node("Cast", ["attention_mask"], "mask.float", to=TensorProto.FLOAT)
    padded = graph.node("Sub", [graph.constant("one", np.float32(1)), mask], "mask.padded")
    bias = graph.node("Mul", [padded, graph.constant("padding", np.float32(PADDING))], "mask.bias")
    return graph.node("Unsqueeze", [bias, graph.numbers("mask.axes", 1, 2)], "mask")


def layer(graph, name, hidden, bias):
    """Attention and feed-forward, each with its residual and norm."""
    attended = attention(graph, f"{name}.attention", hidden, bias)
    attended = graph.linear(f"{name}.attention.output.dense", attended)
    attended = graph.node("Add", [attended, hidden], f"{name}.attention.residual")
    attended = graph.norm(f"{name}.attention.output.LayerNorm", attended, NORM_EPSILON)
    wide = gelu(graph, f"{name}.gelu", graph.linear(f"{name}.intermediate.dense", attended))
    narrow = graph.linear(f"{name}.output.dense", wide)
    narrow = graph.node("Add", [narrow, attended], f"{name}.residual")
    return graph.norm(f"{name}.output.LayerNorm", narrow, NORM_EPSILON)


def attention(graph, name, hidden, bias):
    """All heads at once; [batch, sequence, hidden] in and out."""
    width = HIDDEN // HEADS
    matrix, offset = (graph.constant(f"{name}.{kind}", value) for kind, value in joined(graph.weights, name))
    product = graph.node("MatMul", [hidden, matrix], f"{name}.product")
    product = graph.node("Add", [product, offset], f"{name}.all")
    # 0 keeps a dimension: no shape is computed at run time.
    product = graph.node("Reshape", [product, graph.numbers("heads", 0, 0, 3 * HEADS, width)], f"{name}.heads")
    product = graph.node("Transpose", [product], f"{name}.by_head", perm=[0, 2, 1, 3])
    outputs = [f"{name}.{part}" for part in ("query", "key", "value")]
    sizes = graph.numbers("sizes", HEADS, HEADS, HEADS)
    query, key, value = graph.node("Split", [product, sizes], f"{name}.parts", outputs, axis=1)
    key = graph.node("Transpose", [key], f"{name}.key.turned", perm=[0, 1, 3, 2])
    scores = graph.node("MatMul", [query, key], f"{name}.scores")
    scores = graph.node("Add", [scores, bias], f"{name}.masked")
    scores = graph.node("Softmax", [scores], f"{name}.softmax", axis=-1)
    mixed = graph.node("MatMul", [scores, value], f"{name}.mixed")
    mixed = graph.node("Transpose", [mixed], f"{name}.by_token", perm=[0, 2, 1, 3])
    return graph.node("Reshape", [mixed, graph.numbers("joined", 0, 0, HIDDEN)], f"{name}.joined")


def joined(weights, name):
    """The matrix and the offset that give query, key and value side by side."""
    scale = np.float32((HIDDEN // HEADS) ** -0.5)
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
