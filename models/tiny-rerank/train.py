"""Trains the model on the corpus, with a fixed seed."""

import random as python_random

import numpy as np

import autograd as ag
import classifier
import corpus
from vocabulary import Vocabulary

SEED = 20261126
# Facts that the training never tells.
HELD_OUT = 300
STEPS = 900
# Pairs at once: half of them answer.
BATCH = 64
RATE = 2e-3
WARM_UP = 100


def pairs(facts, number, chance):
    """Questions, each with a passage that answers and one that does not, and 1 for the first and 0 for the other."""
    allowed, rows = set(facts), []
    while len(rows) < number:
        question, passages = corpus.told(allowed, (corpus.answer, corpus.other), chance.choice(facts), chance)
        rows += [(question, passage, answers) for passage, answers in zip(passages, (1, 0))]
    return rows


def batch(vocabulary, pairs):
    """Tokens, sides and mask of question and passage, padded."""
    rows = [vocabulary.pair(query, passage) for query, passage, *_ in pairs]
    shape = (len(rows), max(len(ids) for ids, _ in rows))
    ids, sides, mask = (np.zeros(shape, np.int64) for _ in range(3))
    for number, (tokens, types) in enumerate(rows):
        ids[number, : len(tokens)], sides[number, : len(tokens)] = tokens, types
        mask[number, : len(tokens)] = 1
    return ids, sides, mask


def train(say):
    """The vocabulary and the weights."""
    vocabulary, known = Vocabulary(), corpus.split(HELD_OUT, SEED)[0]
    weights = classifier.new_weights(len(vocabulary), np.random.default_rng(SEED))
    model, adam, chance = classifier.Classifier(weights), ag.Adam(weights), python_random.Random(SEED)
    for step in range(1, STEPS + 1):
        chosen = pairs(known, BATCH, chance)
        logits = model.run(*batch(vocabulary, chosen))
        answers = np.array([[answer] for _, _, answer in chosen], np.float32)
        loss = ag.binary_cross_entropy(logits, answers)
        ag.differentiate(loss)
        adam.step(step, RATE * min(step / WARM_UP, (1 - step / (STEPS + 1)) * 1.1, 1.0))
        if step % 100 == 0:
            say(f"step {step} of {STEPS}: loss {float(loss.data):.4f}")
    return vocabulary, weights
