"""Writes all-MiniLM-L6-v2 as ONNX.

The graph is the encoder of BERT as its configuration gives it: 6 layers, 12 heads of 32. One output:
last_hidden_state, float32 [batch, sequence, 384]. Pooling is the caller's.
"""

import bert
from graph import Graph, floats
from weights import HEADS, HIDDEN, LAYERS, NORM_EPSILON


def convert(weights, path):
    """Writes the model, with the weights inside."""
    graph = Graph(weights)
    states = bert.Encoder(graph, LAYERS, HEADS, HIDDEN, NORM_EPSILON).states()
    # An output has a name of its own.
    graph.node("Identity", [states], "last_hidden_state")
    outputs = [floats("last_hidden_state", "batch", "sequence", HIDDEN)]
    graph.save("all-MiniLM-L6-v2", bert.inputs(), outputs, path)
