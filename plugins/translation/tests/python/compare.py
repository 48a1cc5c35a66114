"""Compares search.json with Python's transformers, on the same random weights: compare.py FOLDER

Needs transformers and torch, which nothing else of this repository does.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import MarianConfig, MarianMTModel

import random_model
import marian  # isort: skip

SCORE_DIFFERENCE = 1e-4


def model():
    config = MarianConfig(
        vocab_size=random_model.VOCABULARY, d_model=marian.WIDTH, encoder_layers=marian.LAYERS,
        decoder_layers=marian.LAYERS, encoder_attention_heads=marian.HEADS,
        decoder_attention_heads=marian.HEADS, encoder_ffn_dim=marian.WIDE, decoder_ffn_dim=marian.WIDE,
        max_position_embeddings=marian.POSITIONS_MAX, activation_function="swish", scale_embedding=True,
        static_position_embeddings=True, pad_token_id=random_model.PAD, eos_token_id=random_model.END,
        decoder_start_token_id=random_model.PAD, forced_eos_token_id=None, dropout=0.0,
    )
    made = MarianMTModel(config).eval()
    state = {name: torch.tensor(value.data) for name, value in random_model.weights().items()}
    state["final_logits_bias"] = state["final_logits_bias"].reshape(1, -1)
    missing, unexpected = made.load_state_dict(state, strict=False)
    tied = ("embed_tokens.weight", "lm_head.weight", "embed_positions.weight")
    assert not unexpected and all(name.endswith(tied) for name in missing), (missing, unexpected)
    made.tie_weights()
    return made


def main(folder):
    given = json.loads((folder / "search.json").read_text(encoding="utf-8"))
    made, compared = model(), 0
    longest = max(map(len, given["sentences"]))
    filled = [ids + [random_model.PAD] * (longest - len(ids)) for ids in given["sentences"]]
    ids = torch.tensor(filled)
    mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids in given["sentences"]])
    for case in given["cases"]:
        output = made.generate(
            input_ids=ids, attention_mask=mask, do_sample=False, return_dict_in_generate=True,
            output_scores=True, pad_token_id=random_model.PAD,
            **{name: value or None if name == "bad_words_ids" else value for name, value in case["rules"].items()},
        )
        for number, found in enumerate(case["found"]):
            tokens = output.sequences[number].tolist()
            while tokens[-1] == random_model.PAD and len(tokens) > len(found["tokens"]):
                tokens.pop()
            assert tokens == found["tokens"], (case["name"], number, tokens, found["tokens"])
            if case["rules"].get("num_beams", 1) > 1:
                difference = abs(float(output.sequences_scores[number]) - found["score"])
                assert difference < SCORE_DIFFERENCE * max(1, abs(found["score"])), (case["name"], number, difference)
            compared += 1
    print(f"{compared} translations in {len(given['cases'])} settings are those of transformers")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
