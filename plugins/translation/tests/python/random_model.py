"""A Marian model of random weights, small enough for a test, and sentences for it."""

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[3] / "models" / "tiny-translation"), str(HERE.parents[3] / "models")]

import autograd as ag  # noqa: E402
import marian  # noqa: E402

# Before anything takes them over.
marian.WIDTH, marian.HEADS, marian.WIDE, marian.LAYERS, marian.POSITIONS_MAX = 16, 2, 24, 2, 32

import train  # noqa: E402

VOCABULARY = 32
END, OTHER_END, PAD = 0, 5, VOCABULARY - 1
SEED = 7
STEPS, BATCH, RATE = 1000, 16, 4e-3


def weights():
    """Trained for a moment on translations made by chance: so it is neither sure nor says the same always."""
    random = np.random.default_rng(SEED)
    made = marian.new_weights(VOCABULARY, random)
    model, adam = marian.Marian(made), train.Adam(made)
    said = random.permutation(np.arange(1, PAD))
    for step in range(1, STEPS + 1):
        sources = [[*map(int, random.integers(1, PAD, random.integers(1, 15))), END] for _ in range(BATCH)]
        targets = [translated(source, said, random) for source in sources]
        source, mask = train.padded(sources, PAD)
        target, counts = train.padded(targets, PAD)
        begun = np.concatenate([np.full((BATCH, 1), PAD), target[:, :-1]], axis=1)
        logits = model.decode(begun, model.encode(source, mask), mask)
        ag.differentiate(ag.cross_entropy(logits, target, counts))
        adam.step(step, RATE)
    return made


def translated(source, said, random):
    """Words in order, each with a fixed translation; some are left out, doubled or wrong."""
    words = [int(said[word - 1]) for word in source[:-1] for _ in range(random.choice([0, 1, 1, 1, 2]))]
    return [word if random.random() < 0.8 else int(random.integers(1, PAD)) for word in words] + [END]


def sentences():
    """Sentences of differing length, each with its end."""
    random = np.random.default_rng(SEED + 1)
    return [[*map(int, random.integers(1, VOCABULARY - 1, length)), END] for length in (3, 9, 1, 6, 14, 4)]


def likelihoods(model, source):
    """What may follow in the translation of a sentence, as `search` asks for it."""
    ids = np.array([source])
    mask = np.ones(ids.shape, np.float32)
    encoded = model.encode(ids, mask)
    return lambda tokens: model.decode(np.array([tokens]), encoded, mask).data[0, -1]


def rules():
    """Settings by name: every rule alone, and some together."""
    base = {"decoder_start_token_id": PAD, "eos_token_id": [END], "max_length": 20}
    every = {}
    for beams in (1, 2, 4, 8):
        every[f"{beams} beams"] = {"num_beams": beams}
    for penalty in (0.0, 0.6, 2.0, -1.0):
        every[f"length penalty {penalty}"] = {"num_beams": 4, "length_penalty": penalty}
    for stopping in (True, "never"):
        for penalty in (1.0, 2.0, 0.0, -0.5):
            name = f"early stopping {stopping}, length penalty {penalty}"
            every[name] = {"num_beams": 3, "early_stopping": stopping, "length_penalty": penalty}
    marian_rules = {"bad_words_ids": [[PAD]], "forced_eos_token_id": END, "renormalize_logits": True}
    for beams in (1, 4):
        together = {"num_beams": beams, "max_length": 12}
        every[f"no repeats of 2, {beams}"] = {**together, "no_repeat_ngram_size": 2}
        every[f"no repeats of 1, {beams}"] = {**together, "no_repeat_ngram_size": 1}
        words = [[3], [4, 7], [11, 2, 9], [END], [PAD]] + [[word] for word in range(12, 24)]
        every[f"bad words, {beams}"] = {**together, "bad_words_ids": words}
        every[f"bad words made up for, {beams}"] = {**every[f"bad words, {beams}"], "renormalize_logits": True}
        every[f"forced first, {beams}"] = {**together, "forced_bos_token_id": 9}
        every[f"forced last, {beams}"] = {**together, "forced_eos_token_id": END, "max_length": 4}
        every[f"cut, {beams}"] = {**together, "max_length": 4}
        every[f"two ends, {beams}"] = {**together, "eos_token_id": [END, OTHER_END]}
        every[f"as OPUS-MT, {beams}"] = {**together, **marian_rules}
        many = {"forced_bos_token_id": 9, "no_repeat_ngram_size": 3, "length_penalty": 1.5, "early_stopping": True}
        every[f"as M2M100, {beams}"] = {**together, **many}
    return {name: {**base, **rule} for name, rule in every.items()}
