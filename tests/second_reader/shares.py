"""Section 3 of docs/format.md: a private key as it was typed, whole or as two shares."""

from dataclasses import dataclass

from sealing import Refused

PREFIX = "custodian1"
ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
BECH32M = 0x2BC830A3
GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def checksum(values: list[int]) -> int:
    """BIP 350, as BIP 173 has it."""
    check = 1
    for value in values:
        top, check = check >> 25, (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(GENERATORS):
            check ^= generator if top >> bit & 1 else 0
    return check


def multiply(one: int, other: int) -> int:
    """In GF(256) with 11D."""
    product = 0
    while other:
        product ^= one if other & 1 else 0
        one = one << 1 ^ (0x11D if one & 0x80 else 0)
        other >>= 1
    return product


def inverse(value: int) -> int:
    return next(other for other in range(256) if multiply(value, other) == 1)


@dataclass
class Share:
    site: bytes
    print: bytes
    number: int
    bytes: bytes


def parse_share(typed: str) -> Share:
    packed = "".join(typed.split()).replace("-", "").lower()
    if not packed.startswith(PREFIX):
        raise Refused("neither a key nor a share")
    characters = packed[len(PREFIX):]
    if len(characters) != 70 or any(character not in ALPHABET for character in characters):
        raise Refused("a share has 70 characters of its own alphabet")
    human = PREFIX[:-1].encode()
    values = [ALPHABET.index(character) for character in characters]
    if checksum([byte >> 5 for byte in human] + [0] + [byte & 31 for byte in human] + values) != BECH32M:
        raise Refused("a share is mistyped")
    bits = int("".join(f"{value:05b}" for value in values[:64]), 2)
    data = bits.to_bytes(40, "big")
    if data[0] != 1 or not 1 <= data[7] <= 3:
        raise Refused("a share of an unknown version")
    return Share(data[1:5], data[5:7], data[7], data[8:])


def restore(one: Share, other: Share) -> bytes:
    if one.site != other.site or one.print != other.print or one.number == other.number:
        raise Refused("shares that do not belong together")
    divide = inverse(one.number ^ other.number)
    return bytes(multiply(multiply(a, other.number) ^ multiply(b, one.number), divide)
                 for a, b in zip(one.bytes, other.bytes))


def read_key(text: str) -> bytes:
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if len(lines) == 2:
        return restore(parse_share(lines[0]), parse_share(lines[1]))
    try:
        key = bytes.fromhex("".join(lines))
    except ValueError:
        key = b""
    if len(key) != 32:
        raise Refused("a key of 64 hexadecimal digits, or two shares, is wanted")
    return key
