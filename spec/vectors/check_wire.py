"""Checks `wire.json` beside it with nothing but Python's standard library: a second reading of
`spec/wire.md`, written from the text and not from the Rust code. Frames, varints, protobuf fields
and lengths; identity, digests, signatures and content ids; and most of what must be refused."""

import base64
import hashlib
import json
import pathlib
import sys

HASH, MASK64 = 32, (1 << 64) - 1
FRAME_BYTES_MAX, SHARD_BYTES_MAX, SEGMENTS_MAX = 278_528, 262_144, 1 << 32
CREDIT_BYTES_MAX, CONTENT_BYTES_MAX = 1 << 30, 1 << 50


class Refused(Exception):
    pass


def need(condition, why):
    if not condition:
        raise Refused(why)


# Protobuf (spec/wire.md §1.2).


def varint(data, at, minimal=False):
    value = 0
    for index in range(10):
        need(at + index < len(data), "cut off")
        byte = data[at + index]
        value |= (byte & 127) << 7 * index
        if byte < 128:
            need(value < 1 << 64, "varint over 64 bits")
            need(not minimal or index == 0 or byte != 0, "varint not minimal")
            return value, at + index + 1
    raise Refused("varint of more than ten bytes")


def put_varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def fields(data):
    """(number, value) of each field; a value is an int or bytes."""
    at, found = 0, []
    while at < len(data):
        key, at = varint(data, at)
        number, wire_type = key >> 3, key & 7
        need(number > 0, "field 0")
        if wire_type == 0:
            value, at = varint(data, at)
        elif wire_type == 2:
            length, at = varint(data, at)
            need(at + length <= len(data), "cut off")
            value, at = data[at : at + length], at + length
        else:
            raise Refused(f"wire type {wire_type} is not used here")
        found.append((number, value))
    return found


# Each message: number -> (name, type). Types: number, bytes, text, hash, key, path8, path32, set,
# ranges, list (repeated bytes), price (an amount that is absent if it is zero).
ENVELOPE = {1: ("body", "bytes"), 2: ("signature", "bytes")}
MANIFEST = {
    1: ("version", "number"), 2: ("publisher", "key"), 3: ("length_bytes", "number"),
    4: ("shard_bytes", "number"), 5: ("data_shards", "number"), 6: ("total_shards", "number"),
    7: ("root", "hash"), 8: ("salt", "hash"), 9: ("key_commitment", "hash"),
    10: ("price", "bytes16"), 11: ("media_type", "text"), 12: ("duration_ms", "number"),
    13: ("key_price", "price"),
}
PROVIDER = {
    1: ("version", "number"), 2: ("peer", "key"), 3: ("content", "hash"), 4: ("columns", "set"),
    5: ("addresses", "list"), 6: ("issued_at_s", "number"), 7: ("expires_at_s", "number"),
}
MASTERNODE = {
    1: ("version", "number"), 2: ("peer", "key"), 3: ("addresses", "list"),
    4: ("seal_key", "bytes"), 5: ("collateral", "bytes"), 6: ("operator", "bytes20"),
    7: ("capacity_bytes", "number"), 8: ("issued_at_s", "number"), 9: ("expires_at_s", "number"),
}
BODIES = {"manifest": MANIFEST, "provider": PROVIDER, "masternode": MASTERNODE}
ID = ("id", "number")
MESSAGES = {
    1: ("hello", {1: ("version_min", "number"), 2: ("version_max", "number"),
                  3: ("credit_bytes", "number"), 4: ("agent", "text"), 5: ("masternode", "bytes")}),
    2: ("credit", {1: ("bytes", "number")}),
    3: ("get_shard", {1: ID, 2: ("content", "hash"), 3: ("segment", "number"),
                      4: ("column", "number"), 5: ("deadline_ms", "number")}),
    4: ("shard", {1: ID, 2: ("segment_path", "path8"), 3: ("content_path", "path32"),
                  4: ("payload", "bytes")}),
    5: ("refusal", {1: ID, 2: ("reason", "number"), 3: ("retry_after_ms", "number")}),
    6: ("cancel", {1: ID}),
    7: ("get_manifest", {1: ID, 2: ("content", "hash")}),
    8: ("manifest_reply", {1: ID, 2: ("manifest", "bytes")}),
    9: ("get_holdings", {1: ID, 2: ("content", "hash")}),
    10: ("holdings", {1: ID, 2: ("columns", "set")}),
    11: ("open_column", {1: ID, 2: ("manifest", "bytes"), 3: ("column", "number")}),
    12: ("put_shard", {1: ID, 2: ("segment", "number"), 3: ("segment_path", "path8"),
                       4: ("content_path", "path32"), 5: ("payload", "bytes")}),
    13: ("seal_column", {1: ID}),
    14: ("column_reply", {1: ID, 2: ("state", "number"), 3: ("next_segment", "number")}),
    15: ("get_peers", {1: ID}),
    16: ("peers", {1: ID, 2: ("masternodes", "list")}),
    17: ("payment", {1: ("body", "bytes")}),
    18: ("get_holders", {1: ID, 2: ("content", "hash")}),
    19: ("holders", {1: ID, 2: ("providers", "list"), 3: ("masternodes", "list")}),
    20: ("available", {1: ("content", "hash"), 2: ("segments", "ranges")}),
    21: ("audit", {1: ID, 2: ("challenge", "bytes")}),
    22: ("audit_answer", {1: ID, 2: ("answer", "bytes")}),
}
EMPTY = {"number": 0, "text": "", "list": [], "set": [], "ranges": []}


def column_set(data):
    need(len(data) <= 32, "column set over 32 bytes")
    need(not data or data[-1] != 0, "column set ends in zero")
    columns = [8 * i + bit for i, byte in enumerate(data) for bit in range(8) if byte >> bit & 1]
    need(255 not in columns, "column 255")
    return columns


def segment_ranges(data):
    need(len(data) % 8 == 0 and len(data) <= 8 * 512, "ranges of segments")
    halves = [int.from_bytes(data[at : at + 4], "big") for at in range(0, len(data), 4)]
    ranges = [halves[at : at + 2] for at in range(0, len(halves), 2)]
    need(all(first <= last for first, last in ranges), "range upside down")
    need(all(a[1] + 1 < b[0] for a, b in zip(ranges, ranges[1:])), "no gap between ranges")
    return ranges


def typed(kind, value):
    """The value as `wire.json` has it."""
    if kind == "number":
        need(isinstance(value, int), "expected a number")
        return value
    need(isinstance(value, bytes), "expected bytes")
    sizes = {"hash": 32, "key": 33, "bytes16": 16, "bytes20": 20, "price": 16}
    if kind in sizes:
        need(len(value) == sizes[kind], f"expected {sizes[kind]} bytes, got {len(value)}")
    if kind == "key":
        point(value)
    if kind in ("path8", "path32"):
        need(len(value) % HASH == 0 and len(value) <= HASH * int(kind[4:]), "path")
    if kind == "set":
        return column_set(value)
    if kind == "ranges":
        return segment_ranges(value)
    if kind == "text":
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise Refused("not UTF-8") from None
    return value.hex()


def read(table, data):
    """Fields of one message by name; absent ones have their zero."""
    values = {name: EMPTY.get(kind, "") for name, kind in table.values()}
    values |= {name: [] for name, kind in table.values() if kind == "list"}
    present = set()
    for number, value in fields(data):
        if number not in table:
            continue
        name, kind = table[number]
        present.add(name)
        if kind == "list":
            need(isinstance(value, bytes), "expected bytes")
            values[name].append(value.hex())
        else:
            values[name] = typed(kind, value)
    for name, kind in table.values():
        need(kind not in ("hash", "key", "bytes16", "bytes20") or name in present, f"no {name}")
    return values


def write(table, values):
    """The canonical encoding (§4.2): ascending numbers, minimal varints, nothing that is zero."""
    out = b""
    for number, (name, kind) in sorted(table.items()):
        value = values[name]
        if kind == "number":
            out += put_varint(number << 3) + put_varint(value) if value else b""
            continue
        if kind == "set":
            bits = sum(1 << column for column in value)
            items = [bits.to_bytes((bits.bit_length() + 7) // 8, "little")]
        elif kind == "ranges":
            items = [b"".join(end.to_bytes(4, "big") for one in value for end in one)]
        elif kind == "text":
            items = [value.encode()]
        elif kind == "price":
            items = [bytes.fromhex(value) if value.strip("0") else b""]
        else:
            items = [bytes.fromhex(one) for one in (value if kind == "list" else [value])]
        for item in items:
            if item or kind == "list":
                out += put_varint(number << 3 | 2) + put_varint(len(item)) + item
    return out


# secp256k1 and the hashes (§3, §4).

P = 2**256 - 2**32 - 977
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
G = (0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
     0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8)


def add(a, b):
    if a is None or b is None:
        return a or b
    if a[0] == b[0]:
        if (a[1] + b[1]) % P == 0:
            return None
        slope = 3 * a[0] * a[0] * pow(2 * a[1], -1, P)
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def multiply(times, a):
    total = None
    while times:
        total = add(total, a) if times & 1 else total
        a, times = add(a, a), times >> 1
    return total


def point(key):
    x = int.from_bytes(key[1:], "big")
    need(len(key) == 33 and key[0] in (2, 3) and x < P, "no compressed point")
    y = pow(x**3 + 7, (P + 1) // 4, P)
    need(y * y % P == (x**3 + 7) % P, "not on the curve")
    return x, y if y & 1 == key[0] & 1 else P - y


def verify(key, digest, signature):
    need(len(signature) == 64, "signature length")
    r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    need(0 < r < N and 0 < s <= N // 2, "r or s out of range, or s high")
    e, w = int.from_bytes(digest, "big"), pow(s, -1, N)
    found = add(multiply(e * w % N, G), multiply(r * w % N, point(key)))
    need(found is not None and found[0] % N == r, "signature")


def keccak256(data):
    state, rate = [0] * 25, 136
    data += b"\x01" + bytes(-(len(data) + 1) % rate)
    data = data[:-1] + bytes([data[-1] | 0x80])
    rotate = lambda v, n: (v << n | v >> 64 - n) & MASK64 if n else v
    for start in range(0, len(data), rate):
        for i in range(rate // 8):
            state[i] ^= int.from_bytes(data[start + 8 * i : start + 8 * i + 8], "little")
        lfsr = 1
        for _ in range(24):
            c = [state[x] ^ state[x + 5] ^ state[x + 10] ^ state[x + 15] ^ state[x + 20] for x in range(5)]
            state = [v ^ c[(i - 1) % 5] ^ rotate(c[(i + 1) % 5], 1) for i, v in enumerate(state)]
            x, y, current = 1, 0, state[1]
            for t in range(24):
                x, y = y, (2 * x + 3 * y) % 5
                current, state[x + 5 * y] = state[x + 5 * y], rotate(current, (t + 1) * (t + 2) // 2 % 64)
            rows = [state[5 * y : 5 * y + 5] for y in range(5)]
            state = [row[x] ^ ~row[(x + 1) % 5] & MASK64 & row[(x + 2) % 5] for row in rows for x in range(5)]
            for j in range(7):
                lfsr = (lfsr << 1) ^ (lfsr >> 7) * 0x171
                if lfsr & 2:
                    state[0] ^= 1 << (1 << j) - 1
    return b"".join(v.to_bytes(8, "little") for v in state)[:32]


BLAKE3_IV = [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19]


def blake3_chunk(key, data, flags):
    """BLAKE3 of at most 1,024 bytes: one chunk, which is also the root."""
    assert len(data) <= 1024
    blocks = [data[i : i + 64] for i in range(0, len(data), 64)] or [b""]
    chain = key
    for index, block in enumerate(blocks):
        last = index == len(blocks) - 1
        mode = flags | (1 if index == 0 else 0) | (2 | 8 if last else 0)
        m = [int.from_bytes(block.ljust(64, b"\0")[4 * i : 4 * i + 4], "little") for i in range(16)]
        v = chain + BLAKE3_IV[:4] + [0, 0, len(block), mode]
        for _ in range(7):
            for i, (a, b, c, d) in enumerate(
                [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                 (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]
            ):
                for word, (r1, r2) in ((m[2 * i], (16, 12)), (m[2 * i + 1], (8, 7))):
                    v[a] = (v[a] + v[b] + word) & 0xFFFFFFFF
                    v[d] = ((v[d] ^ v[a]) >> r1 | (v[d] ^ v[a]) << 32 - r1) & 0xFFFFFFFF
                    v[c] = (v[c] + v[d]) & 0xFFFFFFFF
                    v[b] = ((v[b] ^ v[c]) >> r2 | (v[b] ^ v[c]) << 32 - r2) & 0xFFFFFFFF
            m = [m[i] for i in (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)]
        chain = [v[i] ^ v[i + 8] for i in range(8)]
    return chain


def blake3_derive_key(context, data):
    key = blake3_chunk(BLAKE3_IV, context.encode(), 32)
    return b"".join(word.to_bytes(4, "little") for word in blake3_chunk(key, data, 64))


def base58(data):
    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = alphabet[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def base32(data):
    return base64.b32encode(data).decode().rstrip("=").lower()


# Ranges (§4, §5) and what they refuse.


def check_addresses(addresses):
    need(len(addresses) <= 8, "addresses")
    need(all(1 <= len(one) // 2 <= 128 for one in addresses), "address")


def check_life(body):
    need(1 <= body["expires_at_s"] - body["issued_at_s"] <= 172_800, "life")


def check_body(domain, body):
    need(body["version"] == 1, "version")
    if domain == "manifest":
        k, n, shard = body["data_shards"], body["total_shards"], body["shard_bytes"]
        need(body["length_bytes"] <= CONTENT_BYTES_MAX, "length")
        need(64 <= shard <= SHARD_BYTES_MAX and shard % 64 == 0, "shard_bytes")
        need(2 <= k <= n <= 255, "k, n")
        need(len(body["media_type"].encode()) <= 64, "media type")
        need(-(-body["length_bytes"] // (k * shard - 16)) <= SEGMENTS_MAX, "segments")
        return
    check_addresses(body["addresses"])
    check_life(body)
    if domain == "masternode":
        need(len(body["seal_key"]) in (0, 64), "seal key")
        need(len(body["collateral"]) <= 128, "collateral")


def open_envelope(data):
    need(len(data) <= 2176, "envelope length")
    envelope = read(ENVELOPE, data)
    body, signature = bytes.fromhex(envelope["body"]), bytes.fromhex(envelope["signature"])
    need(1 <= len(body) <= 2048 and len(signature) == 64, "envelope parts")
    return body, signature


def signing_digest(domain, body):
    return keccak256(b"POP signed v1" + bytes([len(domain)]) + domain.encode() + body)


def open_signed(domain, data):
    body, signature = open_envelope(data)
    values = read(BODIES[domain], body)
    check_body(domain, values)
    need(write(BODIES[domain], values) == body, "not canonical")
    signer = values["publisher" if domain == "manifest" else "peer"]
    verify(bytes.fromhex(signer), signing_digest(domain, body), signature)
    return values


def open_message(data):
    need(len(data) <= FRAME_BYTES_MAX, "frame length")
    kinds = [(number, value) for number, value in fields(data) if number in MESSAGES]
    need(kinds, "no kind")
    number, value = kinds[-1]
    need(isinstance(value, bytes), "a kind is a message")
    name, table = MESSAGES[number]
    message = read(table, value)
    if name == "hello":
        need(1 <= message["version_min"] <= message["version_max"] <= 65_535, "versions")
        need(message["credit_bytes"] <= CREDIT_BYTES_MAX, "credit")
        need(len(message["agent"].encode()) <= 64, "agent")
    if name == "credit":
        need(1 <= message["bytes"] <= CREDIT_BYTES_MAX, "credit")
    if "segment" in message:
        need(message["segment"] < SEGMENTS_MAX, "segment")
    if "column" in message:
        need(message["column"] < 255, "column")
    if "payload" in message:
        need(1 <= len(message["payload"]) // 2 <= SHARD_BYTES_MAX, "payload")
    if name == "column_reply":
        need(message["state"] in (1, 2) and message["next_segment"] <= SEGMENTS_MAX, "reply")
    if name in ("peers", "holders"):
        need(len(message["masternodes"]) <= 64, "masternodes")
    if name == "payment":
        need(1 <= len(message["body"]) // 2 <= 1024, "payment")
    if name == "audit":
        need(1 <= len(message["challenge"]) // 2 <= 128, "challenge")
    if name == "audit_answer":
        need(1 <= len(message["answer"]) // 2 <= 256, "answer")
    need(len(message.get("providers", [])) <= 64, "providers")
    lists = message.get("masternodes", []) + message.get("providers", [])
    for carried in [message.get("manifest")] + lists:
        if carried is not None:
            open_envelope(bytes.fromhex(carried))
    if message.get("masternode"):
        open_envelope(bytes.fromhex(message["masternode"]))
    return number, name, message


def open_frame(data):
    length, at = varint(data, 0, minimal=True)
    need(length <= FRAME_BYTES_MAX, "frame length")
    need(len(data) == at + length, "not one frame")
    return data[at:]


def open_bundle(data):
    need(len(data) <= 61_440, "bundle length")
    entries = [value for number, value in fields(data) if number == 1]
    need(len(entries) <= 256, "entries")
    names = {1: "manifest", 2: "provider", 3: "masternode"}
    kinds = []
    for entry in entries:
        kind = [(number, value) for number, value in fields(entry) if number in names]
        need(kind, "entry without kind")
        number, value = kind[-1]
        open_signed(names[number], value)
        kinds.append(names[number])
    return kinds


def open_evidence(data):
    found = fields(data)
    shards = [value for number, value in found if number == 4]
    need(len(shards) <= 255, "shards")
    first = dict(reversed(found))
    need(1 in first, "manifest")
    open_envelope(first[1])
    shard = {1: ("column", "number"), 2: ("shard", "bytes"), 3: ("segment_path", "path8")}
    return {
        "manifest": first[1].hex(),
        "segment": first.get(2, 0),
        "content_path": typed("path32", first.get(3, b"")),
        "shards": [read(shard, one) for one in shards],
    }


def open_peer_id(data):
    need(data[:6].hex() == "002508021221", "not secp256k1")
    return point(data[6:])


OPENERS = {
    "frame": open_frame, "message": open_message, "bundle": open_bundle, "evidence": open_evidence,
    "libp2p peer id": open_peer_id,
} | {domain: lambda data, domain=domain: open_signed(domain, data) for domain in BODIES}


def check_identity(identity):
    x, y = multiply(int(identity["secret"], 16), G)
    key = bytes([2 + (y & 1)]) + x.to_bytes(32, "big")
    assert key.hex() == identity["public_key"]
    libp2p = bytes.fromhex("002508021221") + key
    assert libp2p.hex() == identity["libp2p_bytes"] and base58(libp2p) == identity["peer_id"]
    lower = keccak256(x.to_bytes(32, "big") + y.to_bytes(32, "big"))[12:].hex()
    mixed = zip(lower, keccak256(lower.encode()).hex())
    wallet = "".join(digit.upper() if int(mark, 16) > 7 else digit for digit, mark in mixed)
    assert "0x" + wallet == identity["wallet"]


def check_signed(vector, key):
    domain, body = vector["domain"], bytes.fromhex(vector["body"])
    assert open_signed(domain, bytes.fromhex(vector["envelope"])) == vector["fields"], domain
    assert write(BODIES[domain], vector["fields"]) == body, domain
    digest = signing_digest(domain, body)
    assert digest.hex() == vector["digest"], domain
    verify(key, digest, bytes.fromhex(vector["signature"]))
    if domain == "manifest":
        assert base32(blake3_derive_key("POP 2026 content id v1", body)) == vector["content_id"]


def check_frame(vector):
    body = open_frame(bytes.fromhex(vector["frame"]))
    assert open_message(body) == (vector["number"], vector["kind"], vector["fields"]), vector
    inner = write(MESSAGES[vector["number"]][1], vector["fields"])
    rebuilt = put_varint(vector["number"] << 3 | 2) + put_varint(len(inner)) + inner
    assert put_varint(len(rebuilt)) + rebuilt == bytes.fromhex(vector["frame"]), vector["kind"]


def main():
    path = pathlib.Path(__file__).with_name("wire.json")
    vectors = json.loads(path.read_text())
    assert hashlib.sha3_256(b"").hexdigest() != keccak256(b"").hex(), "Keccak is not SHA-3"
    check_identity(vectors["identity"])
    written = vectors["content_id_text"]
    assert base32(bytes.fromhex(written["bytes"])) == written["text"]
    key = bytes.fromhex(vectors["identity"]["public_key"])
    for vector in vectors["signed"]:
        check_signed(vector, key)
    bundle = vectors["bundle"]
    assert open_bundle(bytes.fromhex(bundle["bytes"])) == bundle["entries"]
    evidence = vectors["evidence"]
    assert open_evidence(bytes.fromhex(evidence["bytes"])) == evidence["fields"]
    for vector in vectors["frames"]:
        check_frame(vector)
    assert sorted(vector["number"] for vector in vectors["frames"]) == sorted(MESSAGES)
    for case in vectors["versions"]:
        (low, high), (other_low, other_high) = case["ours"], case["theirs"]
        newest = min(high, other_high)
        assert case["agreed"] == (newest if newest >= max(low, other_low) else None), case
    for case in vectors["refused"]:
        try:
            OPENERS[case["what"]](bytes.fromhex(case["bytes"]))
        except Refused:
            continue
        sys.exit(f"accepted, must be refused: {case['what']}: {case['why']}")
    print(f"{len(vectors['frames'])} frames, {len(vectors['signed'])} signed bodies and "
          f"{len(vectors['refused'])} refusals agree with the specification")


if __name__ == "__main__":
    main()
