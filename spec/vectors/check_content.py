#!/usr/bin/env python3
"""Checks content.json against spec/content.md without any code of POP: its own BLAKE3, GF(2^8) and
trees, written from the text. Left out: AES-GCM (§5: `sealed` is taken as given) and ECDSA (the
signature in the envelope; spec/vectors/wire.json has it). Standard library only."""
import base64, functools, hashlib, itertools, json, pathlib, struct

IV = [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19]
PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]
START, END, PARENT, ROOT, CONTEXT, MATERIAL = 1, 2, 4, 8, 32, 64


def compress(chaining, block, counter, length, flags):
    s = chaining + IV[:4] + [counter & 0xFFFFFFFF, counter >> 32, length, flags]
    m = list(struct.unpack("<16I", block.ljust(64, b"\0")))

    def rotate(x, by):
        return (x >> by | x << 32 - by) & 0xFFFFFFFF

    def mix(a, b, c, d, x, y):
        for add, first, second in ((x, 16, 12), (y, 8, 7)):
            s[a] = (s[a] + s[b] + add) & 0xFFFFFFFF
            s[d] = rotate(s[d] ^ s[a], first)
            s[c] = (s[c] + s[d]) & 0xFFFFFFFF
            s[b] = rotate(s[b] ^ s[c], second)

    for _ in range(7):
        for i in range(4):
            mix(i, 4 + i, 8 + i, 12 + i, m[2 * i], m[2 * i + 1])
        for i in range(4):
            mix(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4, m[8 + 2 * i], m[9 + 2 * i])
        m = [m[i] for i in PERMUTATION]
    return [s[i] ^ s[i + 8] for i in range(8)]


def blake3(data, key, flags, chunk=0, last=ROOT):
    """Chaining value of a subtree that begins at `chunk`."""
    if len(data) <= 1024:
        blocks = [data[i:i + 64] for i in range(0, len(data), 64)] or [b""]
        chaining = key
        for i, block in enumerate(blocks):
            extra = START * (i == 0) | (END | last) * (i == len(blocks) - 1)
            chaining = compress(chaining, block, chunk, len(block), flags | extra)
        return chaining
    half = 1 << ((len(data) - 1) // 1024).bit_length() - 1
    left = blake3(data[:half * 1024], key, flags, chunk, 0)
    right = blake3(data[half * 1024:], key, flags, chunk + half, 0)
    return compress(key, struct.pack("<16I", *left, *right), 0, 64, flags | PARENT | last)


def derive(context, data):
    key = blake3(context.encode(), IV, CONTEXT)
    return struct.pack("<8I", *blake3(data, key, MATERIAL))


def product(a, b):
    total = 0
    while b:
        total ^= a * (b & 1)
        a = a << 1 ^ 0x11D * (a >> 7)
        b >>= 1
    return total


INVERSE = {a: b for a in range(1, 256) for b in range(1, 256) if product(a, b) == 1}


def row(k, i):
    """Row i of the generator matrix."""
    return [int(i == j) if i < k else INVERSE[i ^ j] for j in range(k)]


def combine(coefficients, shards):
    return bytes(
        functools.reduce(lambda x, y: x ^ y, map(product, coefficients, column))
        for column in zip(*shards)
    )


def decode(k, given):
    """Data shards from k of {column: shard}, by Gauss and Jordan."""
    rows = [(row(k, i), shard) for i, shard in given.items()]
    for pivot in range(k):
        at = next(i for i in range(pivot, k) if rows[i][0][pivot])
        rows[pivot], rows[at] = rows[at], rows[pivot]
        factor = INVERSE[rows[pivot][0][pivot]]
        rows[pivot] = tuple(type(part)(product(factor, x) for x in part) for part in rows[pivot])
        for i in range(k):
            factor = rows[i][0][pivot] if i != pivot else 0
            rows[i] = tuple(
                type(part)(x ^ product(factor, y) for x, y in zip(part, other))
                for part, other in zip(rows[i], rows[pivot])
            )
    return [shard for _, shard in rows]


def node(left, right):
    return derive("POP 2026 merkle node v1", left + right)


def root_and_paths(leaves):
    if len(leaves) == 1:
        return leaves[0], [[]]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    (left, lefts), (right, rights) = root_and_paths(leaves[:half]), root_and_paths(leaves[half:])
    return node(left, right), [p + [right] for p in lefts] + [p + [left] for p in rights]


def check(content, key, salt):
    k, n, length = content["data_shards"], content["total_shards"], len(content["plaintext"]) // 2
    assert bytes.fromhex(content["plaintext"]) == bytes(i % 251 for i in range(length))
    commitment = hashlib.sha256(b"POP key commitment v1" + salt + key).hexdigest()
    assert commitment == content["key_commitment"]
    segment_bytes = k * content["shard_bytes"] - 16
    count = max(1, -(-length // segment_bytes))
    assert count == len(content["segments"])
    leaves = []
    for i, segment in enumerate(content["segments"]):
        last, index = i == count - 1, struct.pack(">Q", i)
        start, end = i * segment_bytes, min(length, (i + 1) * segment_bytes)
        size = -(-(-(-(end - start + 16) // k)) // 64) * 64 if last else content["shard_bytes"]
        assert (segment["index"], segment["last"], segment["shard_bytes"]) == (i, last, size)
        assert segment["plaintext_range"] == [start, end]
        assert segment["subkey"] == derive("POP 2026 segment key v1", key + salt + index).hex()
        assert segment["nonce"] == (bytes(4) + index).hex()
        data = b"POP segment v1" + salt + index + bytes([last])
        assert segment["associated_data"] == data.hex()
        sealed = bytes.fromhex(segment["sealed"])
        assert len(sealed) == k * size and not any(sealed[end - start + 16:])
        pieces = [sealed[j * size:(j + 1) * size] for j in range(k)]
        shards = [combine(row(k, j), pieces) for j in range(n)]
        assert [shard.hex() for shard in shards] == segment["shards"]
        for subset in itertools.combinations(range(n), k):
            assert decode(k, {j: shards[j] for j in subset}) == pieces, subset
        hashes = [derive("POP 2026 shard v1", shard) for shard in shards]
        assert [h.hex() for h in hashes] == segment["shard_hashes"]
        root, paths = root_and_paths(hashes)
        assert root.hex() == segment["segment_root"]
        assert [[h.hex() for h in path] for path in paths] == segment["segment_paths"]
        leaves.append(derive("POP 2026 segment v1", index + struct.pack(">I", size) + root))
        assert leaves[-1].hex() == segment["leaf"]
    root, paths = root_and_paths(leaves)
    assert root.hex() == content["root"]
    for path, segment in zip(paths, content["segments"]):
        assert [h.hex() for h in path] == segment["content_path"]
    body = bytes.fromhex(content["manifest_body"])
    for part in (root, salt, bytes.fromhex(commitment)):
        assert body.count(part) == 1
    content_id = derive("POP 2026 content id v1", body)
    assert content_id.hex() == content["content_id"]
    text = [base64.b32encode(part).decode().rstrip("=").lower() for part in (content_id, key)]
    assert content["link"] == "pop:%s?k=%s" % tuple(text)


def main():
    vectors = json.loads(pathlib.Path(__file__).with_name("content.json").read_text())
    empty = struct.pack("<8I", *blake3(b"", IV, 0)).hex()
    assert empty == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    for content in vectors["contents"]:
        check(content, bytes.fromhex(vectors["key"]), bytes.fromhex(vectors["salt"]))
        print("agrees:", content["name"])


if __name__ == "__main__":
    main()
