"""Checks the exported model, and writes down what it should say.

The second opinion is second_opinion.py with the pooler and the classifier after it; ONNX Runtime gets the same
pairs as one padded batch. Every logit may differ by DIFFERENCE_MAX. Of passages about facts that the training
never told, the one that answers must be first for RIGHT_MIN of the questions.
"""

import json
import random

import numpy as np
import onnxruntime

import corpus
from classifier import HEADS, LAYERS, NORM_EPSILON
from second_opinion import Encoder
from train import HELD_OUT, SEED, batch

DIFFERENCE_MAX = 1e-3
RIGHT_MIN = 0.99
QUESTIONS = 200
# For each question: the first answers it, the others do not.
PASSAGES = (corpus.answer, *[corpus.other] * 7)
# Questions whose logits are written down.
WRITTEN = 6


def opinion(weights, ids, sides):
    """The logit of one pair."""
    encoder = Encoder(weights, LAYERS, HEADS, NORM_EPSILON, "bert.")
    first = encoder.run(ids, sides)[:1]
    return encoder.linear("classifier", np.tanh(encoder.linear("bert.pooler.dense", first)))[0, 0]


def check(vocabulary, weights, folder):
    """What was found, in words; an error where it is not good enough."""
    unseen, chance = corpus.split(HELD_OUT, SEED)[1], random.Random(SEED)
    told = [corpus.told(set(unseen), PASSAGES, chance.choice(unseen), chance) for _ in range(QUESTIONS)]
    pairs = [(question, passage) for question, passages in told for passage in passages]
    names = ("input_ids", "token_type_ids", "attention_mask")
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], dict(zip(names, batch(vocabulary, pairs))))
    logits = logits.reshape(QUESTIONS, len(PASSAGES))
    right = int((logits.argmax(axis=1) == 0).sum())
    expected = [[opinion(weights, *vocabulary.pair(question, passage)) for passage in passages]
                for question, passages in told[:WRITTEN]]
    difference = np.abs(np.array(expected) - logits[:WRITTEN]).max()
    found = f"differs by {difference:.1e}, {right} of {QUESTIONS} unseen questions right"
    if not (difference <= DIFFERENCE_MAX and right >= RIGHT_MIN * QUESTIONS):
        raise SystemExit(f"the exported model is not good enough: {found}")
    cases = [{"query": question, "passages": passages, "logits": values}
             for (question, passages), values in zip(told, expected)]
    (folder / "expected.json").write_text(json.dumps(cases, indent=1) + "\n", encoding="utf-8")
    return found
