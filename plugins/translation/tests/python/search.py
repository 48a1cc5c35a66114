"""Greedy and beam search, for comparing with: one sentence at a time, without a cache, without batches.

`likelihoods(tokens)` gives the logits of what may follow. The rules are those of the generation_config.json
of Python's transformers, which `compare.py` compares with.
"""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Rules:
    """The keys of generation_config.json that count."""

    decoder_start_token_id: int
    eos_token_id: list
    max_length: int
    num_beams: int = 1
    length_penalty: float = 1.0
    early_stopping: object = False
    no_repeat_ngram_size: int = 0
    bad_words_ids: list = field(default_factory=list)
    forced_bos_token_id: int | None = None
    forced_eos_token_id: int | None = None
    renormalize_logits: bool = False


def log_softmax(scores):
    finite = scores[np.isfinite(scores)]
    if not len(finite):
        return scores
    return scores - (np.log(np.exp(finite - finite.max()).sum()) + finite.max())


def only(scores, token):
    forced = np.full_like(scores, -np.inf)
    forced[token] = 0
    return forced


def logarithms(likelihoods, tokens, rules):
    """The logarithm of the likelihood of every token after `tokens`."""
    scores = log_softmax(likelihoods(tokens).astype(np.float64))
    size = rules.no_repeat_ngram_size
    if size and len(tokens) >= size - 1:
        begun = tokens[len(tokens) - size + 1 :]
        for place in range(len(tokens) - size + 1):
            if tokens[place : place + size - 1] == begun:
                scores[tokens[place + size - 1]] = -np.inf
    for word in rules.bad_words_ids:
        if len(word) == 1 and word[0] in rules.eos_token_id:
            continue
        if len(word) == 1 or tokens[-len(word) + 1 :] == word[:-1]:
            scores[word[-1]] = -np.inf
    if len(tokens) == 1 and rules.forced_bos_token_id is not None:
        scores = only(scores, rules.forced_bos_token_id)
    if len(tokens) == rules.max_length - 1 and rules.forced_eos_token_id is not None:
        scores = only(scores, rules.forced_eos_token_id)
    return log_softmax(scores) if rules.renormalize_logits else scores


def search(likelihoods, rules):
    """The tokens of the best translation, with the one at the start and the end, and its score."""
    start = [rules.decoder_start_token_id]
    return beam(likelihoods, rules, start) if rules.num_beams > 1 else greedy(likelihoods, rules, start)


def greedy(likelihoods, rules, tokens):
    total = 0.0
    while len(tokens) < rules.max_length:
        scores = logarithms(likelihoods, tokens, rules)
        best = int(scores.argmax())
        total += scores[best]
        tokens = tokens + [best]
        if best in rules.eos_token_id:
            break
    return tokens, total / (len(tokens) - 1) ** rules.length_penalty


def beam(likelihoods, rules, start):
    """Each step looks at several times as many continuations as beams: enough go on when the best end."""
    running, finished, width = [(0.0, start)], [], rules.num_beams
    while running:
        following = [
            (total + score, tokens + [token])
            for total, tokens in running
            for token, score in enumerate(logarithms(likelihoods, tokens, rules)) if score > -np.inf
        ]
        following.sort(key=lambda found: -found[0])
        following = following[: width * max(2, 1 + len(rules.eos_token_id))]
        running = []
        for place, (total, tokens) in enumerate(following):
            if tokens[-1] not in rules.eos_token_id and len(tokens) < rules.max_length:
                running.append((total, tokens))
            elif place < width:
                finished.append((total / (len(tokens) - 1) ** rules.length_penalty, tokens))
        running = running[:width]
        finished = sorted(finished, key=lambda found: -found[0])[:width]
        if not running or (len(finished) == width and settled(running[0], finished[-1], rules)):
            break
    return finished[0][1], finished[0][0]


def settled(best_running, worst_finished, rules):
    if rules.early_stopping is True:
        return True
    total, tokens = best_running
    length = len(tokens) - 1
    if rules.early_stopping == "never" and rules.length_penalty > 0:
        length = rules.max_length - 1
    return total / length**rules.length_penalty <= worst_finished[0]
