"""Writes the trained model in the layout of Optimum's exports of Marian models.

encoder_model.onnx and decoder_model_merged.onnx: the decoder is one If over `use_cache_branch`. Without
the cache it takes the whole beginning of the translation and gives the keys and values of every layer;
with it, it takes one token and the keys and values of the tokens before. The keys and values of the
encoder never change: the branch with the cache gives empty ones in their place, and the caller keeps
those of its first run.
"""

import json

import numpy as np
from onnx import TensorProto, helper

import marian
from graph import Graph, booleans, floats, integers
from marian import HEADS, LAYERS, NORM_EPSILON, POSITIONS_MAX, WIDE, WIDTH

HEAD = WIDTH // HEADS


def export(vocabulary, weights, folder):
    """Writes every file of the model but the tokenizer."""
    encoder(weights, folder / "encoder_model.onnx")
    decoder(weights, len(vocabulary), folder / "decoder_model_merged.onnx")
    settings(vocabulary, folder)


def encoder(weights, path):
    graph = Graph(weights)
    states = embed(graph, "encoder", graph.numbers("zero", 0))
    hidden = padding_bias(graph, "attention_mask")
    for number in range(LAYERS):
        layer = f"model.encoder.layers.{number}"
        keys = keys_and_values(graph, f"{layer}.self_attn", states)
        states = attend(graph, f"{layer}.self_attn", states, keys, hidden)
        states = feed(graph, layer, states)
    graph.node("Identity", [states], "last_hidden_state")
    names = ("input_ids", "attention_mask")
    inputs = [integers(name, "batch_size", "encoder_sequence_length") for name in names]
    outputs = [floats("last_hidden_state", "batch_size", "encoder_sequence_length", WIDTH)]
    graph.save("encoder", inputs, outputs, path)


def decoder(weights, vocabulary, path):
    graph = Graph(weights)
    logits = floats("logits", "batch_size", "decoder_sequence_length", vocabulary)
    outputs = [logits, *caches("present", "encoder_sequence_length")]
    without = branch(graph, with_past=False).proto("no_past", [], outputs)
    cached = branch(graph, with_past=True).proto("with_past", [], outputs)
    names = [output.name for output in outputs]
    graph.node("If", ["use_cache_branch"], "optimum::if", names, then_branch=cached, else_branch=without)
    inputs = [
        integers("encoder_attention_mask", "batch_size", "encoder_sequence_length"),
        integers("input_ids", "batch_size", "decoder_sequence_length"),
        floats("encoder_hidden_states", "batch_size", "encoder_sequence_length", WIDTH),
        *caches("past_key_values", "encoder_sequence_length_out"),
        booleans("use_cache_branch", 1),
    ]
    graph.save("merged", inputs, outputs, path)


def caches(prefix, encoder_length):
    """The keys and values of every layer, in Optimum's order."""
    lengths = [("decoder", f"{prefix}_decoder_sequence_length"), ("encoder", encoder_length)]
    return [
        floats(f"{prefix}.{number}.{side}.{part}", "batch_size", HEADS, length, HEAD)
        for number in range(LAYERS) for side, length in lengths for part in ("key", "value")
    ]


def branch(outer, with_past):
    """The decoder, with the keys and values of earlier tokens or without."""
    graph = Graph(outer.weights, outer)
    if with_past:
        begin = graph.node("Shape", ["past_key_values.0.decoder.key"], "begin", start=2, end=3)
        later = None
    else:
        begin = graph.numbers("zero", 0)
        later = later_bias(graph)
    states = embed(graph, "decoder", begin)
    hidden = padding_bias(graph, "encoder_attention_mask")
    for number in range(LAYERS):
        layer = f"model.decoder.layers.{number}"
        keys = keys_and_values(graph, f"{layer}.self_attn", states)
        keys = [extended(graph, number, part, key, with_past) for part, key in zip(("key", "value"), keys)]
        states = attend(graph, f"{layer}.self_attn", states, keys, later)
        keys = of_encoder(graph, number, with_past)
        states = attend(graph, f"{layer}.encoder_attn", states, keys, hidden)
        states = feed(graph, layer, states)
    product = graph.node("MatMul", [states, graph.weight("model.shared.weight", turned=True)], "logits.product")
    graph.node("Add", [product, graph.weight("final_logits_bias")], "logits")
    return graph


def extended(graph, number, part, key, with_past):
    """The keys or values of all tokens so far, which are an output too."""
    present = f"present.{number}.decoder.{part}"
    if with_past:
        return graph.node("Concat", [f"past_key_values.{number}.decoder.{part}", key], present, axis=2)
    return graph.node("Identity", [key], present)


def of_encoder(graph, number, with_past):
    """The keys and values of the encoder's states, made once."""
    names = [f"present.{number}.encoder.{part}" for part in ("key", "value")]
    if not with_past:
        keys = keys_and_values(graph, f"model.decoder.layers.{number}.encoder_attn", "encoder_hidden_states")
        return [graph.node("Identity", [key], name) for key, name in zip(keys, names)]
    for name in names:
        empty = helper.make_tensor(f"{name}.empty", TensorProto.FLOAT, [0, HEADS, 1, HEAD], [])
        graph.node("Constant", [], name, value=empty)
    return [f"past_key_values.{number}.encoder.{part}" for part in ("key", "value")]


def embed(graph, side, begin):
    """The vectors of `input_ids`, the first at position `begin`."""
    vectors = graph.node("Gather", [graph.weight("model.shared.weight"), "input_ids"], f"{side}.vectors")
    scale = graph.constant("embeddings.scale", np.float32(WIDTH**0.5))
    vectors = graph.node("Mul", [vectors, scale], f"{side}.scaled")
    length = graph.node("Shape", ["input_ids"], f"{side}.length", start=1, end=2)
    end = graph.node("Add", [begin, length], f"{side}.end")
    table = graph.outermost.constant("positions", marian.positions())
    places = graph.node("Slice", [table, begin, end, graph.numbers("rows", 0)], f"{side}.places")
    return graph.node("Add", [vectors, places], f"{side}.embedded")


def padding_bias(graph, mask):
    """What is added to every score, [batch, 1, 1, sequence]."""
    cast = graph.node("Cast", [mask], f"{mask}.float", to=TensorProto.FLOAT)
    padded = graph.node("Sub", [graph.constant("one", np.float32(1)), cast], f"{mask}.padded")
    bias = graph.node("Mul", [padded, graph.constant("hidden", marian.HIDDEN_SCORE)], f"{mask}.bias")
    return graph.node("Unsqueeze", [bias, graph.numbers("mask.axes", 1, 2)], f"{mask}.hidden")


def later_bias(graph):
    """What hides later tokens from earlier ones, [sequence, sequence]."""
    square = marian.hide(np.triu(np.ones((POSITIONS_MAX, POSITIONS_MAX), bool), 1))
    whole = graph.outermost.constant("later", square)
    length = graph.node("Shape", ["input_ids"], "later.length", start=1, end=2)
    zero = graph.numbers("zero", 0)
    rows = graph.node("Slice", [whole, zero, length, graph.numbers("rows", 0)], "later.rows")
    return graph.node("Slice", [rows, zero, length, graph.numbers("columns", 1)], "later.square")


def keys_and_values(graph, name, states):
    names = [f"{name}.{part}" for part in ("k_proj", "v_proj")]
    return [by_head(graph, name, graph.linear(name, states)) for name in names]


def by_head(graph, name, value):
    value = graph.node("Reshape", [value, graph.numbers("heads", 0, 0, HEADS, HEAD)], f"{name}.heads")
    return graph.node("Transpose", [value], f"{name}.by_head", perm=[0, 2, 1, 3])


def attend(graph, name, states, keys, hidden):
    """Attention with its residual and norm; `hidden` is added to the scores."""
    key, value = keys
    scale = graph.constant("scores.scale", np.float32(HEAD**-0.5))
    query = graph.node("Mul", [graph.linear(f"{name}.q_proj", states), scale], f"{name}.query")
    query = by_head(graph, f"{name}.query", query)
    turned = graph.node("Transpose", [key], f"{name}.turned", perm=[0, 1, 3, 2])
    scores = graph.node("MatMul", [query, turned], f"{name}.scores")
    if hidden:
        scores = graph.node("Add", [scores, hidden], f"{name}.masked")
    shares = graph.node("Softmax", [scores], f"{name}.shares", axis=-1)
    mixed = graph.node("MatMul", [shares, value], f"{name}.mixed")
    mixed = graph.node("Transpose", [mixed], f"{name}.by_token", perm=[0, 2, 1, 3])
    mixed = graph.node("Reshape", [mixed, graph.numbers("joined", 0, 0, WIDTH)], f"{name}.joined")
    mixed = graph.node("Add", [states, graph.linear(f"{name}.out_proj", mixed)], f"{name}.residual")
    return graph.norm(f"{name}_layer_norm", mixed, NORM_EPSILON)


def feed(graph, layer, states):
    wide = graph.linear(f"{layer}.fc1", states)
    gate = graph.node("Sigmoid", [wide], f"{layer}.gate")
    wide = graph.node("Mul", [wide, gate], f"{layer}.swish")
    narrow = graph.node("Add", [states, graph.linear(f"{layer}.fc2", wide)], f"{layer}.residual")
    return graph.norm(f"{layer}.final_layer_norm", narrow, NORM_EPSILON)


def settings(vocabulary, folder):
    """What the loading code of such models reads: how it is built and decoded, and its languages."""
    end, pad = vocabulary.numbers["</s>"], vocabulary.numbers["<pad>"]
    tokens = {"decoder_start_token_id": pad, "eos_token_id": end, "forced_eos_token_id": end, "pad_token_id": pad}
    model = {
        "model_type": "marian", "architectures": ["MarianMTModel"], "is_encoder_decoder": True,
        "vocab_size": len(vocabulary), "d_model": WIDTH, "max_position_embeddings": POSITIONS_MAX,
        "encoder_layers": LAYERS, "encoder_attention_heads": HEADS, "encoder_ffn_dim": WIDE,
        "decoder_layers": LAYERS, "decoder_attention_heads": HEADS, "decoder_ffn_dim": WIDE,
        "num_hidden_layers": LAYERS, "activation_function": "swish", "scale_embedding": True,
        "static_position_embeddings": True, "normalize_before": False, "normalize_embedding": False,
        "share_encoder_decoder_embeddings": True, "use_cache": True, **tokens,
    }
    generation = {"bad_words_ids": [[pad]], "max_length": POSITIONS_MAX // 2, "num_beams": 4, **tokens}
    languages = {"tokenizer_class": "MarianTokenizer", "source_lang": "en", "target_lang": "de"}
    files = {"config.json": model, "generation_config.json": generation, "tokenizer_config.json": languages}
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
