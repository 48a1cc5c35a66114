"""Checks the exported files: they compute what the trained model computes, and they translate."""

import numpy as np
import onnxruntime

import marian
from marian import HEADS, LAYERS, WIDTH
from train import padded

DIFFERENCE_MAX = 1e-3
# Of the sentences that the training never saw.
RIGHT_MIN = 0.99


class Translator:
    """Greedy decoding with the cache, as the users of such an export do it."""

    def __init__(self, folder):
        def session(name):
            return onnxruntime.InferenceSession(folder / name, providers=["CPUExecutionProvider"])

        self.encoder = session("encoder_model.onnx")
        self.decoder = session("decoder_model_merged.onnx")
        self.names = [output.name for output in self.decoder.get_outputs()]

    def run(self, source, mask, begin, end, steps):
        """One row of tokens for each row of `source`, and the logits of each step."""
        mask = mask.astype(np.int64)
        (encoded,) = self.encoder.run(None, {"input_ids": source, "attention_mask": mask})
        fixed = {"encoder_attention_mask": mask, "encoder_hidden_states": encoded}
        empty = np.zeros((len(source), HEADS, 0, WIDTH // HEADS), np.float32)
        past = {name.replace("present", "past_key_values"): empty for name in self.names[1:]}
        last, rows, logits = np.full((len(source), 1), begin), [], []
        for step in range(steps):
            cached = {"use_cache_branch": np.array([step > 0])}
            found = self.decoder.run(None, {**fixed, **past, **cached, "input_ids": last})
            for name, value in zip(self.names[1:], found[1:]):
                if step == 0 or "decoder" in name:
                    past[name.replace("present", "past_key_values")] = value
            logits.append(found[0][:, -1])
            last = logits[-1].argmax(axis=-1)[:, np.newaxis]
            rows.append(last)
        return [until(list(row), end) for row in np.hstack(rows)], np.stack(logits, 1)


def until(row, end):
    """The tokens before the end."""
    return row[: row.index(end)] if end in row else row


def check(vocabulary, weights, folder, sentences):
    """What was found, in words; an error where it is not good enough."""
    pad, end = vocabulary.numbers["<pad>"], vocabulary.numbers["</s>"]
    source, mask = padded([vocabulary.ids(english) for english, _ in sentences], pad)
    longest = max(len(vocabulary.ids(german)) for _, german in sentences)
    rows, logits = Translator(folder).run(source, mask, pad, end, longest)
    target, counts = padded([[*row, end] for row in rows], pad)
    begun = np.concatenate([np.full((len(target), 1), pad), target[:, :-1]], axis=1)
    model = marian.Marian(weights)
    expected = model.decode(begun, model.encode(source, mask), mask).data
    difference = np.abs((expected - logits[:, : expected.shape[1]]) * counts[..., np.newaxis]).max()
    right = sum(vocabulary.text(row) == german for row, (_, german) in zip(rows, sentences))
    found = f"differs by {difference:.1e}, {right} of {len(sentences)} unseen sentences right"
    if difference > DIFFERENCE_MAX or right < RIGHT_MIN * len(sentences):
        raise SystemExit(f"the exported model is not good enough: {found}")
    return found
