"""Made-up banks and posts for bench/banks/run.sh.

    generate.py bank KIND ROWS [full]     a bank file: pdq, text, url, name, raw_text, mixed (text and url)
    generate.py events FIRST COUNT        posts, one JSON object a line

The same arguments always give the same output. `full` fills every settings column that fits the type.
Posts have about 200 bytes of text; one in ten has an image's hash, one in ten a link. One text in fifty and
one image in five is nearly the same as others before it.
"""
import random
import sys

SYLLABLES = "ba be bi bo da de di do ka ke ki ko la le li lo ma me mi mo na ne ni no ra re ri ro sa se si so".split()
CYRILLIC = "ба бе ви во га де жи за ко ла ле ми мо на не по ра ре си со та ту".split()
ARABIC = "با بي دا دو كا كو لا لي ما مي نا ني را رو سا سي شا فا قا هو".split()


def words_of(syllables, count, rng):
    return ["".join(rng.choice(syllables) for _ in range(rng.randint(2, 4))) for _ in range(count)]


fixed = random.Random(7)
LATIN_WORDS, CYRILLIC_WORDS, ARABIC_WORDS = (words_of(s, 20_000, fixed) for s in (SYLLABLES, CYRILLIC, ARABIC))
IMAGES = [fixed.getrandbits(256) for _ in range(2_000)]
COPIED = [" ".join(fixed.choices(LATIN_WORDS, k=24)) for _ in range(500)]


def phrase(rng, words):
    return " ".join(rng.choices(LATIN_WORDS, k=words))


def signal(kind, number, rng):
    if kind == "pdq":
        return "pdq", f"{rng.getrandbits(256):064x}"
    if kind == "url" or kind == "mixed" and number % 2:
        return "url", f"https://{rng.choice(LATIN_WORDS)}{number}.example/{rng.choice(LATIN_WORDS)}/{number}"
    if kind == "name":
        return "name", f"{rng.choice(LATIN_WORDS)} {rng.choice(LATIN_WORDS)} {rng.choice(LATIN_WORDS)}"
    if kind == "raw_text":
        return "raw_text", phrase(rng, 25)
    return "text", phrase(rng, 4)


def settings(kind):
    common = {"exchange": "partner", "mode": "live", "expires_at": "2099-01-01T00:00:00Z", "tags": "one;two;three", "vouched": "true"}
    text = {"level": "folded", "scope": "substring", "near": "first word;second word", "not_near": "court report", "within": "12"}
    image = {"distance": "20", "quality_min": "60"}
    return common | {"text": text, "pdq": image}.get(kind, {})


def bank(kind, rows, full):
    rng, out = random.Random(11), sys.stdout
    columns = list((settings("text") | settings("pdq"))) if full else []
    out.write(",".join(["signal_type", "signal", "note", *columns]) + "\n")
    for number in range(rows):
        of, value = signal(kind, number, rng)
        row = [of, value, "made up"]
        if full:
            has = settings(of)
            row += [has.get(column, "") for column in columns]
        out.write(",".join(row) + "\n")


def text(rng):
    chance = rng.random()
    if chance < 0.02:
        copied = rng.choice(COPIED).split(" ")
        copied[rng.randrange(len(copied))] = rng.choice(LATIN_WORDS)
        return " ".join(copied)
    words = LATIN_WORDS if chance < 0.6 else CYRILLIC_WORDS if chance < 0.8 else ARABIC_WORDS
    return " ".join(rng.choices(words, k=24))


def event(number):
    rng = random.Random(number)
    account, space = rng.randrange(50_000), rng.randrange(700)
    media = links = ""
    if number % 10 == 0:
        image = rng.choice(IMAGES) if rng.random() < 0.2 else rng.getrandbits(256)
        for _ in range(rng.randrange(8)):
            image ^= 1 << rng.randrange(256)
        media = f',"media":[{{"id":"m","kind":"image","quality":90,"signals":{{"pdq":"{image:064x}"}}}}]'
    if number % 10 == 1:
        links = f',"links":["https://{rng.choice(LATIN_WORDS)}.example/{number}"]'
    return (
        f'{{"id":"e-{number}","source":"bench.example","type":"post.created","time":"2026-11-22T10:15:00Z",'
        f'"account":{{"id":"a-{account}","handle":"{LATIN_WORDS[account % 20_000]}_{account}","display_name":"{LATIN_WORDS[account % 19_997]} {LATIN_WORDS[account % 17]}",'
        f'"created_at":"2024-01-01T00:00:00Z","followers":{account % 1000}}},'
        f'"space":{{"id":"c-{space}","kind":"group","name":"{LATIN_WORDS[space]} group","members":410}},'
        f'"content":{{"id":"p-{number}","text":"{text(rng)}"{media}{links}}}}}\n'
    )


def main():
    what, *rest = sys.argv[1:]
    if what == "bank":
        bank(rest[0], int(rest[1]), "full" in rest)
    else:
        first, count = map(int, rest)
        for number in range(first, first + count):
            sys.stdout.write(event(number))


main()
