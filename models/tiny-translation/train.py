"""Trains the model on the corpus, with a fixed seed."""

import random as python_random

import numpy as np

import autograd as ag
import corpus
import marian
from vocabulary import Vocabulary

SEED = 20261126
# Sentences that the training never sees.
HELD_OUT = 500
STEPS = 600
BATCH = 32
RATE = 3e-3
WARM_UP = 100


def sentences():
    """Those to train on and those held out, in an order of the seed's."""
    pairs = list(corpus.pairs())
    python_random.Random(SEED).shuffle(pairs)
    return pairs[HELD_OUT:], pairs[:HELD_OUT]


def padded(rows, padding):
    """Rows of differing length as one array, and where it is no padding."""
    shape = (len(rows), max(map(len, rows)))
    ids, mask = np.full(shape, padding), np.zeros(shape, np.float32)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = row
        mask[number, : len(row)] = 1
    return ids, mask


def train(say):
    """The vocabulary and the weights."""
    known, _ = sentences()
    vocabulary = Vocabulary([text for pair in known for text in pair])
    random = np.random.default_rng(SEED)
    weights = marian.new_weights(len(vocabulary), random)
    model, adam = marian.Marian(weights), ag.Adam(weights)
    numbered = [(vocabulary.ids(english), vocabulary.ids(german)) for english, german in known]
    padding = vocabulary.numbers["<pad>"]
    for step in range(1, STEPS + 1):
        chosen = [numbered[place] for place in random.integers(0, len(numbered), BATCH)]
        source, source_mask = padded([english for english, _ in chosen], padding)
        target, target_mask = padded([german for _, german in chosen], padding)
        begun = np.concatenate([np.full((BATCH, 1), padding), target[:, :-1]], axis=1)
        logits = model.decode(begun, model.encode(source, source_mask), source_mask)
        loss = ag.cross_entropy(logits, target, target_mask)
        ag.differentiate(loss)
        adam.step(step, RATE * min(step / WARM_UP, (1 - step / (STEPS + 1)) * 1.1, 1.0))
        if step % 100 == 0:
            say(f"step {step} of {STEPS}: loss {float(loss.data):.4f}")
    return vocabulary, weights
