"""The pieces of the corpus, and tokenizer.json as Marian's models have it: unigrams, ▁ before a word."""

import json
import re

END, UNKNOWN, PAD = "</s>", "<unk>", "<pad>"
SPACE = "\u2581"
# The score of a unigram is the logarithm of how often it occurs; here each is as likely.
SCORE = -5.0


class Vocabulary:
    """Pieces by number, in Marian's order: the end first, the padding last."""

    def __init__(self, texts):
        pieces = {piece for text in texts for piece in split(text)}
        self.pieces = [END, UNKNOWN, *sorted(pieces), PAD]
        self.numbers = {piece: number for number, piece in enumerate(self.pieces)}

    def __len__(self):
        return len(self.pieces)

    def ids(self, text):
        return [self.numbers.get(piece, self.numbers[UNKNOWN]) for piece in split(text)] + [self.numbers[END]]

    def text(self, ids):
        pieces = [self.pieces[number] for number in ids if self.pieces[number] not in (END, PAD)]
        return "".join(pieces).replace(SPACE, " ").strip()

    def write(self, path):
        special = [
            {"id": self.numbers[piece], "content": piece, "special": True, "normalized": False,
             "single_word": False, "lstrip": False, "rstrip": False}
            for piece in (END, UNKNOWN, PAD)
        ]
        space = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "always", "split": True}
        end = {"id": END, "ids": [self.numbers[END]], "tokens": [END]}
        tokenizer = {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": special,
            "normalizer": None,
            "pre_tokenizer": space,
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": END, "type_id": 0}}],
                "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}},
                         {"SpecialToken": {"id": END, "type_id": 0}}],
                "special_tokens": {END: end},
            },
            "decoder": space,
            "model": {
                "type": "Unigram",
                "unk_id": self.numbers[UNKNOWN],
                "vocab": [[piece, 0.0 if piece in (END, UNKNOWN, PAD) else SCORE] for piece in self.pieces],
                "byte_fallback": False,
            },
        }
        with open(path, "w", encoding="utf-8") as file:
            json.dump(tokenizer, file, ensure_ascii=False, indent=1)


def split(text):
    """The pieces of a text: a word, or the mark at its end."""
    return [piece for word in text.split() for piece in re.findall(r"^[^.?]+|[.?]", SPACE + word)]
