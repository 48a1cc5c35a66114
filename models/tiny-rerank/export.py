"""Writes the trained model as cross-encoders are exported: input_ids, attention_mask and token_type_ids
in, logits [batch, 1] out."""

import bert
from classifier import HEADS, LAYERS, NORM_EPSILON, WIDTH
from graph import Graph, floats


def export(weights, path):
    """The encoder, the pooler over the first token, and the classifier."""
    graph = Graph(weights)
    states = bert.Encoder(graph, LAYERS, HEADS, WIDTH, NORM_EPSILON, "bert.").states()
    first = graph.node("Gather", [states, graph.numbers("begin", 0)], "bert.pooler.token", axis=1)
    first = graph.node("Squeeze", [first, graph.numbers("sequence", 1)], "bert.pooler.first")
    pooled = graph.node("Tanh", [graph.linear("bert.pooler.dense", first)], "bert.pooler")
    graph.node("Identity", [graph.linear("classifier", pooled)], "logits")
    graph.save("tiny-rerank", bert.inputs(), [floats("logits", "batch", 1)], path)
