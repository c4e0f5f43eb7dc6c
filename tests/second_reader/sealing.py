"""Section 3 of docs/format.md: what is sealed, opened."""

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

SEGMENT_KEY = b"custodian/1 segment key"
DAY_KEY = b"custodian/1 day key"
GRANT_KEY = b"custodian/1 grant key"
DESK_KEY = b"custodian/1 desk key"
REQUEST_PERSONS = b"custodian/1 request persons"
HOLD_TEXT = b"custodian/1 hold text"
OPERATION_PERSONS = b"custodian/1 operation persons"

KEM_SUITE = b"KEM" + (0x0020).to_bytes(2, "big")
HPKE_SUITE = b"HPKE" + b"".join(part.to_bytes(2, "big") for part in (0x0020, 0x0001, 0x0002))
MODE_BASE = b"\x00"


class Refused(Exception):
    """Something stored is not what the page says it must be."""


def public_half(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    mac = hmac.HMAC(key, hashes.SHA256())
    mac.update(message)
    return mac.finalize()


def labeled_extract(suite: bytes, salt: bytes, label: bytes, secret: bytes) -> bytes:
    """RFC 9180, section 4; HKDF-Extract is RFC 5869's."""
    return hmac_sha256(salt or bytes(32), b"HPKE-v1" + suite + label + secret)


def labeled_expand(suite: bytes, key: bytes, label: bytes, info: bytes, length: int) -> bytes:
    info = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    out, block, count = b"", b"", 1
    while len(out) < length:
        block = hmac_sha256(key, block + info + bytes([count]))
        out, count = out + block, count + 1
    return out[:length]


def hpke_cipher(shared_point: bytes, encapsulated: bytes, recipient: bytes, info: bytes) -> tuple[AESGCM, bytes]:
    """Cipher and first nonce of a base mode context (RFC 9180, sections 4.1 and 5.1)."""
    eae_prk = labeled_extract(KEM_SUITE, b"", b"eae_prk", shared_point)
    shared = labeled_expand(KEM_SUITE, eae_prk, b"shared_secret", encapsulated + recipient, 32)
    psk_id_hash = labeled_extract(HPKE_SUITE, b"", b"psk_id_hash", b"")
    info_hash = labeled_extract(HPKE_SUITE, b"", b"info_hash", info)
    context = MODE_BASE + psk_id_hash + info_hash
    secret = labeled_extract(HPKE_SUITE, shared, b"secret", b"")
    key = labeled_expand(HPKE_SUITE, secret, b"key", context, 32)
    return AESGCM(key), labeled_expand(HPKE_SUITE, secret, b"base_nonce", context, 12)


def open_sealed(private: bytes, label: bytes, context: bytes, sealed: bytes) -> bytes:
    """Opens `encapsulated key ‖ ciphertext ‖ tag`."""
    encapsulated, ciphertext = sealed[:32], sealed[32:]
    try:
        shared_point = X25519PrivateKey.from_private_bytes(private).exchange(
            X25519PublicKey.from_public_bytes(encapsulated)
        )
        cipher, nonce = hpke_cipher(shared_point, encapsulated, public_half(private), label)
        return cipher.decrypt(nonce, ciphertext, context)
    except (InvalidTag, ValueError):
        raise Refused("it does not open") from None


def seal_to(recipient: bytes, ephemeral: bytes, label: bytes, context: bytes, plain: bytes) -> bytes:
    """Seals with an ephemeral key that is given: for test vectors alone, which must come out the same each time."""
    encapsulated = public_half(ephemeral)
    shared_point = X25519PrivateKey.from_private_bytes(ephemeral).exchange(X25519PublicKey.from_public_bytes(recipient))
    cipher, nonce = hpke_cipher(shared_point, encapsulated, recipient, label)
    return encapsulated + cipher.encrypt(nonce, plain, context)


def seal_chunk(data_key: bytes, index: int, is_last: bool, associated: bytes, plain: bytes) -> bytes:
    return AESGCM(data_key).encrypt(chunk_nonce(index, is_last), plain, associated)


def chunk_nonce(index: int, is_last: bool) -> bytes:
    return bytes(7) + index.to_bytes(4, "big") + bytes([is_last])


def open_chunk(data_key: bytes, index: int, is_last: bool, associated: bytes, sealed: bytes) -> bytes:
    try:
        return AESGCM(data_key).decrypt(chunk_nonce(index, is_last), sealed, associated)
    except (InvalidTag, ValueError):
        raise Refused("it does not open") from None


def open_under_password(password: str, strength: dict, salt: bytes, context: bytes, sealed: bytes) -> bytes:
    derive = Argon2id(salt=salt, length=32, iterations=strength["passes"], lanes=strength["lanes"],
                      memory_cost=strength["memory_kib"])
    try:
        return AESGCM(derive.derive(password.encode())).decrypt(bytes(12), sealed, context)
    except (InvalidTag, ValueError):
        raise Refused("it does not open") from None


def is_signed(signer: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(signer).verify(signature, message)
        return True
    except (InvalidSignature, ValueError):
        return False
