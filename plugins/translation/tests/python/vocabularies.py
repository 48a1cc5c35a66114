"""Vocabularies of SentencePiece, Unigram and byte pair encoding, and what its library makes of texts; the
same as tokenizer.json, and what the library `tokenizers` makes of texts with it."""

import io
import json
import tempfile

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

TEXTS = [
    "The cat sees the dog.", "A horse and a house.", "Where is the flower today?", "The mouse loves the cheese.",
    "Letters, letters, and more letters!", "the clocks and the birds", "One child plays here; another sleeps.",
    "unbelievably loving lovers", "seeing, seen, saw", "Birds sing songs in spring.", "houses and mice",
]
# What is asked: also characters that the vocabulary does not have, and such that become others.
ASKED = [
    *TEXTS, "", "   ", "  two   spaces ", "zebra Q", "cat\u4e2d\u6587\u5b57dog", "\uff23\uff21\uff34 cat\u00a0sees",
    "\ufb01nd the \u2460 \u00bd", "caf\u00e9 cafe\u0301", "no\tbreak\u200bhere", "lettersandlettersandletters",
    "<unk></s>", "\u2581marked", "\U0001f600 smile",
]
END, UNKNOWN = 0, 1


# What becomes what, some of it longer than others that it begins with.
REPLACED = {
    "\u00a0": " ", "\t": " ", "\u200b": "", "\ufb01": "fi", "\u2460": "1", "\u00bd": "1/2", "e\u0301": "\u00e9",
    "\uff23": "C", "\uff21": "A", "\uff34": "T", "\uff23\uff21": "CA",
}


def train(kind, size):
    """With a map of few characters: that of nmt_nfkc takes 240 kB."""
    model = io.BytesIO()
    codes = [[" ".join(f"{ord(letter):X}" for letter in text) for text in pair] for pair in REPLACED.items()]
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
        rules.write("".join(f"{old}\t{new}\n" for old, new in codes))
        rules.flush()
        train_with(rules.name, kind, size, model)
    proto = sentencepiece_model_pb2.ModelProto.FromString(model.getvalue())
    proto.normalizer_spec.normalization_rule_tsv = ""
    return proto.SerializeToString(deterministic=True)


def train_with(rules, kind, size, model):
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 3), model_writer=model, model_type=kind, vocab_size=size,
        normalization_rule_tsv=rules, bos_id=-1, eos_id=END, unk_id=UNKNOWN, minloglevel=2, num_threads=1,
        hard_vocab_limit=False,
    )


def as_json(model, ids):
    """As transformers converts it, with the numbers of `ids`."""
    proto = sentencepiece_model_pb2.ModelProto.FromString(model)
    pieces = sorted((ids[piece.piece], piece.piece, piece.score) for piece in proto.pieces)
    if proto.trainer_spec.model_type == 1:
        made = models.Unigram([(piece, score) for _, piece, score in pieces], unk_id=ids["<unk>"])
    else:
        scores = {piece: score for _, piece, score in pieces}
        merges = [
            (piece[:at], piece[at:]) for piece in sorted(scores, key=lambda piece: -scores[piece])
            for at in range(1, len(piece)) if piece[:at] in scores and piece[at:] in scores
        ]
        made = models.BPE(vocab=ids, merges=merges, unk_token="<unk>", fuse_unk=True)
    tokens = Tokenizer(made)
    tokens.normalizer = normalizers.Sequence([
        normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap),
        normalizers.Replace(Regex(" {2,}"), " "),
    ])
    tokens.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always")
    return tokens


def write(folder):
    answers = {}
    for name, kind, size in (("unigram", "unigram", 90), ("bpe", "bpe", 110)):
        model = train(kind, size)
        tokens = sentencepiece.SentencePieceProcessor(model_proto=model)
        (folder / f"{name}.spm").write_bytes(model)
        count = tokens.get_piece_size()
        # The numbers of vocab.json are others than the library's.
        ids = {tokens.id_to_piece(number): (number * 7 + 3) % count if count % 7 else number for number in range(count)}
        (folder / f"{name}.vocab.json").write_text(json.dumps(ids, ensure_ascii=False), encoding="utf-8")
        pieces = [tokens.encode(text, out_type=str) for text in ASKED]
        numbers = [[ids.get(piece, ids["<unk>"]) for piece in found] for found in pieces]
        answers[name] = [{"text": text, "ids": found} for text, found in zip(ASKED, numbers)]
        tokens = as_json(model, ids)
        tokens.save(str(folder / f"{name}.tokenizer.json"), pretty=False)
        # It takes special tokens for what they are where they stand in a text. What it makes of spaces at the
        # ends and in a row, and of their sign, is another thing, too.
        plain = [text for text in ASKED if text and text.split() == text.split(" ") and text[0] not in "\u2581<"]
        answers[f"{name}.tokenizer.json"] = [{"text": text, "ids": tokens.encode(text).ids} for text in plain]
    text = json.dumps(answers, ensure_ascii=False, indent=None)
    (folder / "tokens.json").write_text(text.replace('{"text"', '\n{"text"') + "\n", encoding="utf-8")
