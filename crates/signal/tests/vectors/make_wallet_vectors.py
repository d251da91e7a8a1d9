"""Makes wallets.ndjson: addresses of keys and hashes that were made up, by independent libraries.

    pip install base58 bech32 cashaddress eth-utils eth-hash[pycryptodome] monero xrpl-py pytoniq-core
    python3 make_wallet_vectors.py > wallets.ndjson

Each line has the text that is read and what must come of it: the canonical form, or the reason for
which it is refused. The bytes behind an address are SHA-256 of a counter, so nobody has their keys.
"""

import hashlib
import json

import base58
import bech32
from cashaddress import convert
from eth_utils import to_checksum_address
from monero import base58 as monero_base58
from monero.address import address as monero_address
from monero.keccak import keccak_256
from pytoniq_core import Address as TonAddress
from xrpl.core.addresscodec import encode_classic_address

ROUNDS = 6


def made_up(label, size):
    out = b""
    while len(out) < size:
        out += hashlib.sha256(f"{label}/{len(out)}".encode()).digest()
    return out[:size]


def put(text, expect=None, refused=None):
    print(json.dumps({"text": text, "expect": expect, "refused": refused}))


def check58(version, label):
    return base58.b58encode_check(version + made_up(label, 20)).decode()


def cardano(header, size, label):
    data = bech32.convertbits(bytes([header]) + made_up(label, size), 8, 5)
    return bech32.bech32_encode("addr", data)


def monero(network, size, label):
    body = bytes([network]) + made_up(label, size)
    text = monero_base58.encode((body + keccak_256(body).digest()[:4]).hex())
    assert str(monero_address(text)) == text
    return text


def changed(text, at):
    other = "2" if text[at] != "2" else "3"
    return text[:at] + other + text[at + 1 :]


CHECK58 = {
    "bitcoin": (b"\x00", b"\x05"),
    "litecoin": (b"\x30", b"\x32"),
    "dogecoin": (b"\x1e", b"\x16"),
    "dash": (b"\x4c", b"\x10"),
    "zcash": (b"\x1c\xb8", b"\x1c\xbd"),
    "tron": (b"\x41",),
}
TEST58 = {"bitcoin": (b"\x6f", b"\xc4"), "dogecoin": (b"\x71",), "tron": (b"\xa0",)}

for i in range(ROUNDS):
    for chain, versions in CHECK58.items():
        for version in versions:
            text = check58(version, f"{chain}{i}")
            put(text, f"{chain}:{text}")
            put(f"{chain}:{changed(text, 9 + i)}", refused="checksum")
    for chain, versions in TEST58.items():
        for version in versions:
            put(f"{chain}:{check58(version, f'{chain}{i}')}", refused="test")
    script = made_up(f"ltc old {i}", 20)
    put(
        "litecoin:" + base58.b58encode_check(b"\x05" + script).decode(),
        "litecoin:" + base58.b58encode_check(b"\x32" + script).decode(),
    )
    for hrp, chain in (("bc", "bitcoin"), ("ltc", "litecoin")):
        for version, size in ((0, 20), (0, 32), (1, 32), (16, 2), (2, 16)):
            program = made_up(f"{chain}{version}{i}", size)
            if version == 0:
                data = [0] + bech32.convertbits(program, 8, 5)
                text = bech32.bech32_encode(hrp, data)
            else:  # The library knows bech32 alone: bech32m differs in the constant (BIP 350).
                data = [version] + bech32.convertbits(program, 8, 5)
                values = bech32.bech32_hrp_expand(hrp) + data
                polymod = bech32.bech32_polymod(values + [0] * 6) ^ 0x2BC830A3
                data += [(polymod >> 5 * (5 - k)) & 31 for k in range(6)]
                text = hrp + "1" + "".join(bech32.CHARSET[d] for d in data)
            put(text, f"{chain}:{text}")
            put(text.upper(), f"{chain}:{text}")
            put(changed(text, len(text) - 3), refused="checksum")
        wrong = bech32.bech32_encode(hrp, [1] + bech32.convertbits(made_up("w", 32), 8, 5))
        put(wrong, refused="checksum")
    for version in (b"\x00", b"\x05"):
        old = check58(version, f"bch{i}")
        new = convert.to_cash_address(old)
        bare = new.split(":")[1]
        put(new, new)
        put(bare, new)
        put(f"bitcoincash:{old}", new)
        put(changed(bare, 20), refused="checksum")
    eth = to_checksum_address(made_up(f"eth{i}", 20))
    put(eth, f"ethereum:{eth}")
    put(eth.lower(), f"ethereum:{eth}")
    at = next(k for k in range(10, 42) if eth[k].isalpha())
    put(eth[:at] + eth[at].swapcase() + eth[at + 1 :], refused="checksum")
    for header, size in ((0x01, 56), (0x11, 56), (0x61, 28), (0x71, 28)):
        text = cardano(header, size, f"ada{i}")
        put(text, f"cardano:{text}")
        put(changed(text, 30), refused="checksum")
    put(cardano(0x60, 28, f"ada{i}"), refused="test")
    for network, size in ((18, 64), (42, 64), (19, 72)):
        text = monero(network, size, f"xmr{i}")
        put(text, f"monero:{text}")
        put(changed(text, 40), refused="checksum")
    put("monero:" + monero(53, 64, f"xmr{i}"), refused="test")
    xrp = encode_classic_address(made_up(f"xrp{i}", 20))
    put(xrp, f"xrp:{xrp}")
    put(changed(xrp, 12), refused="checksum")
    sol = base58.b58encode(made_up(f"sol{i}", 32)).decode()
    put(f"solana:{sol}", f"solana:{sol}")
    put(sol, refused="unnamed")
    ton = TonAddress((0 if i % 2 else -1, made_up(f"ton{i}", 32)))
    canonical = ton.to_str(is_user_friendly=True, is_url_safe=True, is_bounceable=True)
    for safe in (True, False):
        for bounceable in (True, False):
            text = ton.to_str(is_user_friendly=True, is_url_safe=safe, is_bounceable=bounceable)
            put(f"ton:{text}", f"ton:{canonical}")
    put(f"ton:{changed(canonical, 20)}", refused="checksum")
    test = ton.to_str(is_user_friendly=True, is_url_safe=True, is_test_only=True)
    put(f"ton:{test}", refused="test")
