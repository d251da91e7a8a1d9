"""Rules for bench/backtest/run.sh: rules.py COUNT [cel] prints so many rules (and counters), or the same conditions
as CEL expressions, one a line, without counters."""
import sys

count, cel = int(sys.argv[1]), len(sys.argv) > 2

conditions = [
    'account.followers > {big} && content.text.contains("marker{n}")',
    'space.members > {huge} || content.text.startsWith("zz{n}")',
    'account.handle.endsWith("_x{n}") && account.followers < {small}',
    'content.language == "q{n}" || content.text.contains("never so {n}")',
    'account.followers > {big} && space.kind in ["none{n}", "neither{n}"]',
]

if not cel:
    print("counter posts = count(post.created) by account.id over 1h")
    print("counter spaces = distinct(space.id) on post.created by account.id over 24h")
    print("counter texts = distinct(content.text_key) on post.created by space.id over 1h")
for n in range(count):
    condition = conditions[n % len(conditions)].format(n=n, big=2000 + n, huge=90000 + n, small=n)
    if cel:
        print(condition)
        continue
    if n % 10 == 9:
        condition = ["posts > 1000000", "spaces > 100000", "texts > 1000000 && account.followers > 5"][n // 10 % 3]
    print(
        f"rule bench_{n} {{\n  on post.created\n  policy bench\n  reason \"A rule of the benchmark.\"\n"
        f"  when {condition}\n  then enqueue(\"bench\", priority: 1)\n}}"
    )
