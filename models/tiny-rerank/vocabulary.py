"""The pieces of the corpus, and tokenizer.json as models of BERT's kind have it: WordPiece, lower case."""

import json
import re

import corpus

PAD, UNKNOWN, BEGIN, END, MASK = SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = "the in does do who which one where what when at time place . ?".split()


class Vocabulary:
    """Pieces by number, in BERT's order: the marks first."""

    def __init__(self):
        words = {*WORDS, *corpus.HOW, *(word for part in corpus.PARTS for word in part)}
        # The verbs end in one that they share.
        self.pieces = [*SPECIAL, *sorted(words), "##s"]
        self.numbers = {piece: number for number, piece in enumerate(self.pieces)}

    def __len__(self):
        return len(self.pieces)

    def pair(self, query, passage):
        """The tokens of a pair, and which side each is of."""
        one, other = self.ids(query), self.ids(passage)
        begin, end = self.numbers[BEGIN], self.numbers[END]
        return [begin, *one, end, *other, end], [0] * (len(one) + 2) + [1] * (len(other) + 1)

    def ids(self, text):
        """Of the corpus's own words; a word is itself, or itself and its ending."""
        ids = []
        for word in re.findall(r"\w+|[.?]", text.lower()):
            pieces = [word] if word in self.numbers else [word.removesuffix("s"), "##s"]
            ids += [self.numbers[piece] for piece in pieces]
        return ids

    def write(self, path):
        marks = [
            {"id": self.numbers[piece], "content": piece, "special": True, "normalized": False,
             "single_word": False, "lstrip": False, "rstrip": False}
            for piece in SPECIAL
        ]

        def mark(piece, side):
            return {"SpecialToken": {"id": piece, "type_id": side}}

        def text(name, side):
            return {"Sequence": {"id": name, "type_id": side}}

        single = [mark(BEGIN, 0), text("A", 0), mark(END, 0)]
        tokenizer = {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": marks,
            "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                           "strip_accents": None, "lowercase": True},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {
                "type": "TemplateProcessing",
                "single": single,
                "pair": [*single, text("B", 1), mark(END, 1)],
                "special_tokens": {
                    piece: {"id": piece, "ids": [self.numbers[piece]], "tokens": [piece]} for piece in (BEGIN, END)
                },
            },
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
            "model": {"type": "WordPiece", "unk_token": UNKNOWN, "continuing_subword_prefix": "##",
                      "max_input_chars_per_word": 100, "vocab": self.numbers},
        }
        with open(path, "w", encoding="utf-8") as file:
            json.dump(tokenizer, file, ensure_ascii=False, indent=1)
