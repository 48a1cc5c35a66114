"""Questions and passages, in English: a small grammar, written for this project.

A fact says who does what where, and perhaps when. A passage tells one fact; a question leaves out one of its
parts, and a passage answers it when it tells the part that is asked for and agrees in all that the question names.
"""

import random

WHO = ("cat", "dog", "child", "woman", "man", "bird", "horse", "teacher", "farmer", "doctor")
DOES = ("sleep", "sing", "wait", "play", "laugh", "read", "cook", "work")
WHERE = ("garden", "house", "park", "street", "kitchen", "school", "forest", "tower")
WHEN = ("morning", "evening", "night", "summer", "winter")
HOW = ("quiet", "happy", "tired", "young", "old")

# The parts of a fact in order.
PARTS = (WHO, DOES, WHERE, WHEN)
# A question names the parts that stand here and asks for the last: (named, asked, words).
QUESTIONS = [
    ((0, 1), 2, "Where does the {0} {1}?"),
    ((0, 1), 2, "In which place does the {0} {1}?"),
    ((1, 2), 0, "Who {1}s in the {2}?"),
    ((1, 2), 0, "Which one {1}s in the {2}?"),
    ((0, 2), 1, "What does the {0} do in the {2}?"),
    ((0, 1), 3, "When does the {0} {1}?"),
    ((0, 1), 3, "At what time does the {0} {1}?"),
]


def facts():
    """Every fact, those without a time too."""
    return [(who, does, where, when) for who in WHO for does in DOES for where in WHERE for when in (None, *WHEN)]


def passage(fact, chance):
    """A sentence that tells a fact."""
    who, does, where, when = fact
    how = chance.choice((None, *HOW))
    subject = f"the {how} {who}" if how else f"the {who}"
    if when is None:
        words = f"{subject} {does}s in the {where}"
    elif chance.random() < 0.5:
        words = f"in the {when} {subject} {does}s in the {where}"
    else:
        words = f"{subject} {does}s in the {where} in the {when}"
    return words[0].upper() + words[1:] + "."


def question(fact, chance):
    """A question that `fact` answers, and which parts of it are named and asked for."""
    fits = [question for question in QUESTIONS if fact[question[1]] is not None]
    named, asked, words = chance.choice(fits)
    return words.format(*fact), named, asked


def answer(fact, named, asked, chance):
    """A fact that answers: it agrees in what is named, and tells what is asked for."""
    parts = list(fact)
    for part in {0, 1, 2, 3} - set(named):
        parts[part] = chance.choice(PARTS[part])
    if asked != 3 and chance.random() < 0.5:
        parts[3] = None
    return tuple(parts)


def other(fact, named, asked, chance):
    """A fact that does not answer: one or two of the named parts are others, or what is asked for is not told."""
    parts = list(answer(fact, named, asked, chance))
    if asked == 3 and chance.random() < 0.3:
        parts[3] = None
        return tuple(parts)
    for part in chance.sample(named, chance.choice((1, 1, 1, 2))):
        parts[part] = chance.choice([word for word in PARTS[part] if word != parts[part]])
    return tuple(parts)


def split(held_out, seed):
    """The facts that the training tells, and those that it never does."""
    known = facts()
    random.Random(seed).shuffle(known)
    return known[held_out:], known[:held_out]


def told(allowed, find, fact, chance):
    """A question that `fact` answers, and passages by `find`, of facts in `allowed` alone, one for each of `find`."""
    words, named, asked = question(fact, chance)
    passages = []
    while len(passages) < len(find):
        made = find[len(passages)](fact, named, asked, chance)
        if made in allowed:
            passages.append(passage(made, chance))
    return words, passages
