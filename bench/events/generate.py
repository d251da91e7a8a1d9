"""A bank of 100,000 made-up phrases and 20 rules, for bench/events/run.sh."""
import random
import sys

random.seed(7)
out = sys.argv[1]
syllables = "ba be bi bo da de di do ka ke ki ko la le li lo ma me mi mo na ne ni no ra re ri ro sa se si so".split()


def word():
    return "".join(random.choice(syllables) for _ in range(random.randint(2, 4)))


seen = set()
with open(f"{out}/bank.csv", "w") as bank:
    bank.write("signal_type,signal,note\n")
    while len(seen) < 100_000:
        phrase = " ".join(word() for _ in range(random.randint(2, 3)))
        if phrase not in seen:
            seen.add(phrase)
            bank.write(f"text,{phrase},made up\n")

with open(f"{out}/bench.rules", "w") as rules:
    for i in range(20):
        condition = [
            'bank("SLOGANS").matches(content.text)',
            f'account.age < {i + 1}h && content.text.contains("marker{i}")',
            f'account.followers > {2000 + i} && account.handle.startsWith("zz{i}")',
            f'space.members > {90000 + i} || content.text.containsPhrase("never written {i}")',
        ][i % 4]
        rules.write(
            f'rule bench_{i} {{\n  on post.created\n  policy bench\n  reason "A rule of the benchmark."\n'
            f"  when {condition}\n  then enqueue(\"bench\", priority: 1)\n}}\n"
        )
