"""English sentences and their German translations: a small grammar, written for this project.

Every combination is right in both languages: articles follow gender and case, the verb stays second
when an adverb comes first, a question begins with it, and "not a" is one word.
"""

import itertools

# The definite and the indefinite article.
NOMINATIVE = {"m": ("der", "ein"), "f": ("die", "eine"), "n": ("das", "ein")}
ACCUSATIVE = {"m": ("den", "einen"), "f": ("die", "eine"), "n": ("das", "ein")}
ENGLISH = ("the", "a")

# English, German, gender.
LIVING = [
    ("cat", "Katze", "f"), ("dog", "Hund", "m"), ("child", "Kind", "n"), ("woman", "Frau", "f"),
    ("man", "Mann", "m"), ("bird", "Vogel", "m"), ("horse", "Pferd", "n"), ("mouse", "Maus", "f"),
]
THINGS = [
    ("book", "Buch", "n"), ("house", "Haus", "n"), ("flower", "Blume", "f"), ("ball", "Ball", "m"),
    ("letter", "Brief", "m"), ("clock", "Uhr", "f"),
]
# English, its form after "does", German.
ALONE = [
    ("sleeps", "sleep", "schläft"), ("sings", "sing", "singt"), ("waits", "wait", "wartet"),
    ("plays", "play", "spielt"), ("laughs", "laugh", "lacht"),
]
WITH_OBJECT = [
    ("sees", "see", "sieht"), ("loves", "love", "liebt"), ("finds", "find", "findet"),
    ("buys", "buy", "kauft"), ("carries", "carry", "trägt"),
]
ADVERBS = [("today", "heute"), ("here", "hier"), ("now", "jetzt")]


def nouns(living_and_things, articles):
    """A noun with either article, in both languages."""
    for (english, german, gender), which in itertools.product(living_and_things, (0, 1)):
        yield f"{ENGLISH[which]} {english}", f"{articles[gender][which]} {german}"


def forms(subject, verb, target):
    """The sentences that can be made of a subject, a verb and perhaps an object."""
    (who, wer), (does, do, tut), (what, was) = subject, verb, target
    yield f"{who} {does} {what} .", f"{wer} {tut} {was} ."
    yield f"{who} does not {do} {what} .", f"{wer} {tut} {negated(was)} ."
    yield f"does {who} {do} {what} ?", f"{tut} {wer} {was} ?"
    for when, wann in ADVERBS:
        yield f"{who} {does} {what} {when} .", f"{wer} {tut} {wann} {was} ."
        yield f"{when} {who} {does} {what} .", f"{wann} {tut} {wer} {was} ."


def negated(target):
    return f"k{target}" if target.startswith("ein") else f"{target} nicht"


def written(sentence):
    """Words as they are written: a capital first, the mark without a space."""
    words = sentence.split()
    text = " ".join(words[:-1]) + words[-1]
    return text[0].upper() + text[1:]


def pairs():
    """Every sentence with its translation."""
    subjects = list(nouns(LIVING, NOMINATIVE))
    objects = list(nouns(LIVING + THINGS, ACCUSATIVE))
    for subject, verb in itertools.product(subjects, ALONE):
        yield from ((written(a), written(b)) for a, b in forms(subject, verb, ("", "")))
    for subject, verb, target in itertools.product(subjects, WITH_OBJECT, objects):
        yield from ((written(a), written(b)) for a, b in forms(subject, verb, target))
