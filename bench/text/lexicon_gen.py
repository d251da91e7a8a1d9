#!/usr/bin/env python3
"""Made-up messages and lexicons: lexicon_gen.py FOLDER [BYTES].

Words of Arabic, English, Russian and Indonesian look are put together from syllables, 12,000 a language; messages draw
them unevenly, as people do. Writes lexicon-10000, lexicon-100000 (phrases of one to three words, one a line) and messages
(one a line, BYTES in all, by default 100 MB; one in fifty has a phrase of the smaller lexicon). Always the same.
"""
import os
import random
import sys

SYLLABLES = {
    "ar": "ال في من على كا تا بر سا مل نا عر حب قو لي مو را هم تم شر دو جا خي طر فا بن صا يو كت درس علم مدي ية أن لى",
    "en": "an be cor der en fi gro hal in jo ket lan ment nor ous pre quil ra st ter un ver wal xi yel zo ing tion ble less shi tho",
    "id": "a ba ca di en ga ha ing ja ka la ma nya or per ra sa tan u wa ya meng ber kan lu mi ni pu si te yo zi",
    "ru": "а бо ва ги до ек жи за ин ка ло мы но об пер ры сто ту ум фа хо це чи ша ще эль юн ять ость ный ский ение",
}
WORDS = 12_000

folder, size = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100_000_000
os.makedirs(folder, exist_ok=True)
dice = random.Random(20_261_123)


def words_of(syllables):
    words = set()
    while len(words) < WORDS:
        words.add("".join(dice.choices(syllables, k=dice.choice((2, 2, 3, 3, 4)))))
    words = sorted(words)
    dice.shuffle(words)
    return words


vocabulary = {language: words_of(said.split()) for language, said in SYLLABLES.items()}
languages = list(vocabulary)

phrases = {}
while len(phrases) < 100_000:
    # Single words are few, as in real lexicons: most of them say nothing alone.
    length = dice.choices((1, 2, 3), (2, 75, 23))[0]
    phrase = " ".join(dice.choices(vocabulary[dice.choice(languages)], k=length))
    if len(phrase) >= 5:
        phrases[phrase] = None
phrases = list(phrases)
for count in (10_000, 100_000):
    with open(f"{folder}/lexicon-{count}", "w", encoding="utf8") as file:
        file.writelines(phrase + "\n" for phrase in phrases[:count])

written = 0
with open(f"{folder}/messages", "w", encoding="utf8") as file:
    while written < size:
        words = vocabulary[dice.choice(languages)]
        message = [words[int(WORDS * dice.random() ** 3)] for _ in range(dice.randint(5, 40))]
        if dice.random() < 0.02:
            message.insert(dice.randrange(len(message)), phrases[dice.randrange(10_000)])
        message[dice.randrange(len(message))] += ","
        line = " ".join(message).capitalize() + ".\n"
        written += len(line.encode())
        file.write(line)
