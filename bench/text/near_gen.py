#!/usr/bin/env python3
"""near_gen.py OUT TEXTS QUERIES: invented posts of words made of syllables, in four scripts' worth of languages.

OUT/bank has one post a line, 60 to 400 letters long; OUT/queries alternates posts that are near nothing with posts of
the first thousand of the bank in which one letter in forty was changed. Everything is already normalised (small
letters, no spaces) in OUT/bank.norm and OUT/queries.norm, so that all engines are asked the same question.
"""
import os, random, sys

out, texts, queries = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
os.makedirs(out, exist_ok=True)
rng = random.Random(11)
syllables = {
    "en": "th er in re on an ti es st al le ing tion ment pro con dis ma lo ver ca po si de li no ra tor per ous ful ness ble com un pre sub ter gra fi".split(),
    "id": "me ng kan pe ber di ter an se ka la ma sa ta ra na ya ku mu nya lah pun ba da ga ja ci co su tu li ri ni si bi du gu lu ru".split(),
    "ru": "по на ст ен ра то ко ни ро не во ли но ть ре пре ка ла ва та ри ся го ло ми де за об про сто ение ость ный ная ское ать ить".split(),
    "ar": "ال من في على مع كا تا بر سا مل نا عر حب قو لي مو را هم تم شر دو جا خي طر فا بن صا يو كت درس علم مدي".split(),
}
words = {}
for language, parts in syllables.items():
    made = set()
    while len(made) < 12000:
        made.add("".join(rng.choice(parts) for _ in range(rng.choice((2, 2, 3, 3, 4)))))
    words[language] = sorted(made)
    rng.shuffle(words[language])


def post():
    """Words picked so that a few are frequent, as in language."""
    pool = words[rng.choice(list(words))]
    return " ".join(pool[int(len(pool) * rng.random() ** 3)] for _ in range(rng.randint(12, 55)))


def changed(text):
    letters = list(text)
    for _ in range(len(letters) // 40):
        at = rng.randrange(len(letters))
        if letters[at] != " ":
            letters[at] = rng.choice(("x", "ж", "", "zz"))
    return "".join(letters)


def normal(text):
    return "".join(c for c in text.lower() if c.isalnum())


bank = [post() for _ in range(texts)]
asked = [changed(bank[rng.randrange(min(1000, texts))]) if at % 2 else post() for at in range(queries)]
for name, lines in (("bank", bank), ("queries", asked)):
    with open(f"{out}/{name}", "w", encoding="utf8") as file:
        file.writelines(line + "\n" for line in lines)
    with open(f"{out}/{name}.norm", "w", encoding="utf8") as file:
        file.writelines(normal(line) + "\n" for line in lines)
