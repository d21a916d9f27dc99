#!/usr/bin/env python3
"""Checks signal.json against spec/signal.md without any code of POP: its own X25519 and AES-256-GCM, written
from RFC 7748 and NIST SP 800-38D; BLAKE3 and secp256k1 are those of the checks beside it. Standard library
only."""
import json
import pathlib
import struct

from check_content import blake3, derive
from check_wire import Refused, need, verify

X_PRIME = 2**255 - 19
SIZES = (896, 3968, 16256)
KEYED = 16


# X25519 (RFC 7748 §5).


def x25519(secret, public):
    k = int.from_bytes(secret, "little") & ~7 & (1 << 254) - 1 | 1 << 254
    u = (int.from_bytes(public, "little") & (1 << 255) - 1) % X_PRIME
    x2, z2, x3, z3, swap = 1, 0, u, 1, 0
    for at in range(254, -1, -1):
        bit = k >> at & 1
        if swap != bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb, aa, bb = d * a, c * b, a * a, b * b
        x3, z3 = (da + cb) ** 2 % X_PRIME, u * (da - cb) ** 2 % X_PRIME
        e = aa - bb
        x2, z2 = aa * bb % X_PRIME, e * (aa + 121665 * e) % X_PRIME
    if swap:
        x2, z2 = x3, z3
    shared = (x2 * pow(z2, X_PRIME - 2, X_PRIME) % X_PRIME).to_bytes(32, "little")
    need(any(shared), "a public key of low order")
    return shared


BASE = (9).to_bytes(32, "little")


# AES-256-GCM.


def times_x(a):
    return a << 1 ^ (0x11B if a & 0x80 else 0)


def make_sbox():
    box, p, q = [0x63] * 256, 1, 1
    while True:
        p = p ^ times_x(p)
        q ^= q << 1
        q ^= q << 2
        q ^= q << 4
        q &= 0xFF
        q ^= 0x09 if q & 0x80 else 0
        rotated = [(q << n | q >> 8 - n) & 0xFF for n in range(5)]
        box[p] = rotated[0] ^ rotated[1] ^ rotated[2] ^ rotated[3] ^ rotated[4] ^ 0x63
        if p == 1:
            return box


SBOX = make_sbox()


def expand(key):
    words, constant = [key[i : i + 4] for i in range(0, 32, 4)], 1
    for i in range(8, 60):
        word = words[-1]
        if i % 8 == 0:
            word = bytes(SBOX[b] for b in word[1:] + word[:1])
            word = bytes([word[0] ^ constant]) + word[1:]
            constant <<= 1
        elif i % 8 == 4:
            word = bytes(SBOX[b] for b in word)
        words.append(bytes(a ^ b for a, b in zip(words[i - 8], word)))
    return [b"".join(words[i : i + 4]) for i in range(0, 60, 4)]


def encrypt(keys, block):
    state = [a ^ b for a, b in zip(block, keys[0])]
    for number, key in enumerate(keys[1:]):
        state = [SBOX[state[(i + 4 * (i % 4)) % 16]] for i in range(16)]
        if number < 13:
            mixed = []
            for c in range(0, 16, 4):
                column = state[c : c + 4]
                both = column[0] ^ column[1] ^ column[2] ^ column[3]
                mixed += [column[i] ^ both ^ times_x(column[i] ^ column[(i + 1) % 4]) for i in range(4)]
            state = mixed
        state = [a ^ b for a, b in zip(state, key)]
    return bytes(state)


def ghash(key, data):
    h, total = int.from_bytes(key, "big"), 0
    for i in range(0, len(data), 16):
        x, v, product = total ^ int.from_bytes(data[i : i + 16], "big"), h, 0
        for bit in range(127, -1, -1):
            product ^= v if x >> bit & 1 else 0
            v = v >> 1 ^ (0xE1 << 120 if v & 1 else 0)
        total = product
    return total.to_bytes(16, "big")


def gcm_open(key, associated, sealed):
    """With a nonce of zeros (§3.2)."""
    keys, text, tag = expand(key), sealed[:-16], sealed[-16:]
    pad = lambda data: data + bytes(-len(data) % 16)
    lengths = struct.pack(">QQ", 8 * len(associated), 8 * len(text))
    hashed = ghash(encrypt(keys, bytes(16)), pad(associated) + pad(text) + lengths)
    mask = encrypt(keys, bytes(12) + struct.pack(">I", 1))
    need(bytes(a ^ b for a, b in zip(hashed, mask)) == tag, "it does not open")
    stream = b"".join(encrypt(keys, bytes(12) + struct.pack(">I", 2 + i)) for i in range((len(text) + 15) // 16))
    return bytes(a ^ b for a, b in zip(text, stream))


# The formats.


def check_handshake(vector):
    fields = {name: bytes.fromhex(value) for name, value in vector.items()}

    def body(frame):
        length, at = frame[0] & 0x7F, 1
        if frame[0] & 0x80:
            length, at = length | frame[1] << 7, 2
        need(len(frame) == at + length <= at + 256, "length of a frame")
        return frame[at:]

    def challenge(data):
        need(len(data) == 69, "length of a challenge")
        low, high = struct.unpack(">HH", data[:4])
        need(1 == low <= high, "versions")
        return data[4:37]

    first, answer, proof = (body(fields[name]) for name in ("challenge", "answer", "proof"))
    need((first[0], answer[0], proof[0]) == (1, 2, 3), "kinds")
    dialer, listener = first[1:], answer[1:70]
    need(challenge(dialer) == fields["dialer"] and challenge(listener) == fields["listener"], "peers")
    binding = struct.pack(">H", len(fields["binding"])) + fields["binding"]
    for role, signer, signature in ((1, "dialer", proof[1:]), (2, "listener", answer[70:])):
        said = bytes([role]) + struct.pack(">H", 1) + dialer + listener + binding
        verify(fields[signer], derive("POP 2026 handshake proof v1", said), signature)


def hexes(vector, *names):
    return b"".join(bytes.fromhex(vector[name]) for name in names)


def check_envelope(vector):
    sealed, secret = bytes.fromhex(vector["envelope"]), bytes.fromhex(vector["reader_secret"])
    need(len(sealed) in SIZES and sealed[0] == 1, "length or version")
    reader = x25519(secret, BASE)
    need(reader.hex() == vector["reader_seal_key"], "seal key of the reader")
    signed = hexes(vector, "sender", "seal_key", "relay", "rendezvous")
    signed += struct.pack(">Q", vector["expires_at_s"]) + hexes(vector, "session")
    body = bytes.fromhex(vector["body"])
    signed += struct.pack(">IH", vector["sequence"], len(body)) + body
    seed = bytes.fromhex(vector["randomness"]) + reader + signed
    public = x25519(derive("POP 2026 envelope ephemeral v1", seed), BASE)
    need(public == sealed[1:33], "ephemeral key")
    key = derive("POP 2026 envelope key v1", public + reader + x25519(secret, public))
    inside = gcm_open(key, sealed[:33], sealed[33:])
    need(inside[64:] == signed.ljust(len(inside) - 64, b"\0"), "what is inside")
    digest = derive("POP 2026 envelope signature v1", public + reader + signed)
    verify(bytes.fromhex(vector["sender"]), digest, inside[:64])
    flipped = sealed[:-1] + bytes([sealed[-1] ^ 1])
    try:
        gcm_open(key, flipped[:33], flipped[33:])
    except Refused:
        return
    raise AssertionError("a flipped bit opens")


def check_presence(vector):
    sealed = bytes.fromhex(vector["envelope"])
    need(len(sealed) == SIZES[0] and sealed[0] == 2, "length or version")
    need(vector["epoch"] == vector["now_s"] // 3600, "epoch")
    secret = hexes(vector, "content_key", "content") + struct.pack(">Q", vector["epoch"])
    topic = derive("POP 2026 topic v1", secret)
    need(topic.hex() == vector["topic"], "topic")
    signed = hexes(vector, "peer", "seal_key", "relay", "rendezvous") + struct.pack(">Q", vector["expires_at_s"])
    salt = derive("POP 2026 presence salt v1", bytes.fromhex(vector["randomness"]) + signed)
    need(salt == sealed[1:33], "salt")
    inside = gcm_open(derive("POP 2026 presence key v1", secret + salt), sealed[:33], sealed[33:])
    need(inside[64:] == signed.ljust(len(inside) - 64, b"\0"), "what is inside")
    verify(bytes.fromhex(vector["peer"]), derive("POP 2026 presence signature v1", topic + salt + signed), inside[:64])


# Kind to name, bytes of its fields and whether it carries an envelope (§6.1).
KINDS = {
    1: ("attach", 33, False), 2: ("detach", 32, False), 3: ("join", 32, False), 4: ("leave", 32, False),
    5: ("send", 65, True), 6: ("announce", 32, True), 7: ("deliver", 33, True), 8: ("refused", 5, False),
    9: ("forward", 34, True), 10: ("members", 36, False), 11: ("elsewhere", 36, False),
}


def open_frame(frame):
    need(len(frame) in (256, 1024, 4096, 16384), "length")
    need((frame[0] & 0x7F | frame[1] << 7) == len(frame) - 2 and frame[0] & 0x80, "prefix")
    need(frame[2] in KINDS, "kind")
    name, length, carries = KINDS[frame[2]]
    need(carries == (len(frame) > 256), "envelope")
    fields, rest = frame[3 : 3 + length], frame[3 + length : 128 if carries else 256]
    need(not any(rest), "zeros after the fields")
    if name == "attach":
        need(fields[32] in (1, 2), "attachment")
    if name in ("deliver", "forward"):
        need(fields[0] in (1, 2), "destination")
    if name == "forward":
        need(fields[33] == 1 or fields[0] == 2 and fields[33] == 0, "last")
    if name == "refused":
        need(1 <= fields[0] <= 5 and int.from_bytes(fields[1:], "big") <= 60_000, "refusal")
    return name


def check_homes(vector):
    key = list(struct.unpack("<8I", bytes.fromhex(vector["topic"])))
    weigh = lambda peer: struct.pack("<8I", *blake3(bytes.fromhex(peer), key, KEYED))
    best = sorted(vector["masternodes"], key=weigh, reverse=True)[:2]
    need(best == vector["homes"], "homes")


def main():
    vectors = json.loads(pathlib.Path(__file__).with_name("signal.json").read_text())
    for vector in vectors["handshakes"]:
        check_handshake(vector)
    for vector in vectors["envelopes"]:
        check_envelope(vector)
    check_presence(vectors["presence"])
    for vector in vectors["frames"]:
        start = bytes.fromhex(vector["start"])
        need(open_frame(start.ljust(vector["bytes"], b"\0")) == vector["name"], "name of a frame")
    check_homes(vectors["homes"])
    for case in vectors["refused"]:
        try:
            open_frame(bytes.fromhex(case["frame"]))
        except Refused:
            continue
        raise AssertionError(f"not refused: {case['why']}")
    print(f"signal.json: {len(vectors['frames'])} frames, {len(vectors['refused'])} refused, all as specified")


if __name__ == "__main__":
    main()
