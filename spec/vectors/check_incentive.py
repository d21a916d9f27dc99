"""Checks `incentive.json` beside it with nothing but Python's standard library: a second reading of
`spec/incentive.md`, written from the text and not from the Rust code. Prices, EIP-712 hashes, signers,
bytes of quotes, vouchers and operations, entries that add up, and most of what must be refused."""

import json
import pathlib
import re
import sys

from check_wire import G, N, Refused, add, keccak256, multiply, need, point

HERE = pathlib.Path(__file__).parent
SPEC = (HERE.parent / "incentive.md").read_text()


def uint(value):
    return int(value).to_bytes(32, "big")


def price(rate, kbps, length):
    units = rate * -(-kbps // 100) * 8 * length
    return -(-units // 10**6)


# Signatures (§2).


def address(public):
    return keccak256(public[0].to_bytes(32, "big") + public[1].to_bytes(32, "big"))[12:]


def wallet(secret):
    return address(multiply(int(secret, 16), G))


def checked_form(signature):
    """r, s and whether y is odd; what has no form is refused before anything is hashed."""
    r, s, v = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big"), signature[64]
    need(s <= N // 2, "HighS")
    need(v in (27, 28), "RecoveryByte")
    return r, s, v - 27


def signer(digest, signature):
    r, s, is_odd = checked_form(signature)
    need(0 < r < N and 0 < s, "NoSigner")
    try:
        nonce_point = point(bytes([2 + is_odd]) + r.to_bytes(32, "big"))
    except Refused:
        raise Refused("NoSigner") from None
    inverse, z = pow(r, -1, N), int.from_bytes(digest, "big")
    public = add(multiply(s * inverse % N, nonce_point), multiply(-z * inverse % N, G))
    need(public is not None, "NoSigner")
    return address(public)


def struct_hash(encoded_type, words):
    return keccak256(keccak256(encoded_type.encode()) + b"".join(words))


def separator(chain_id, contract):
    encoded_type = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    words = [keccak256(b"POP"), keccak256(b"1"), uint(chain_id), bytes(12) + contract]
    return struct_hash(encoded_type, words)


def digest(domain, hashed):
    own = separator(domain["chain_id"], bytes.fromhex(domain["contract"]))
    assert own.hex() == domain["separator"]
    return keccak256(b"\x19\x01" + own + hashed)


# Quotes and vouchers (§4.1, §5.1): types as §2.2 has them, widths of the fields in bytes.
TYPES = dict(re.findall(r"^((?:Quote|Voucher))(\(.*\))$", SPEC, re.MULTILINE))
LAYOUTS = {
    "Quote": ["content", "payee", "rate", "peak_kbps", "serial", "valid_from", "valid_until"],
    "Voucher": ["vault", "payee", "epoch", "amount", "bytes"],
}
WIDTHS = {"bytes32": 32, "address": 20, "uint128": 16, "uint64": 8, "uint32": 4}


def read(kind, data):
    """Fields, struct hash and signature."""
    members = [member.split() for member in TYPES[kind].strip("()").split(",")]
    widths = [WIDTHS[solidity] for solidity, _ in members]
    need(len(data) == 1 + sum(widths) + 65, "Length")
    need(data[0] == 1, "Version")
    found, at = {}, 1
    for name, width in zip(LAYOUTS[kind], widths):
        raw, at = data[at : at + width], at + width
        found[name] = raw if width in (20, 32) else int.from_bytes(raw, "big")
        found.setdefault("words", []).append(bytes(32 - width) + raw)
    need(kind != "Quote" or found["rate"] > 0, "Range")
    checked_form(data[at:])
    return found, struct_hash(kind + TYPES[kind], found["words"]), data[at:]


def check_signed(kind, vector, secret):
    data = bytes.fromhex(vector["encoded"])
    found, hashed, signature = read(kind, data)
    for name in LAYOUTS[kind]:
        written = vector[name]
        assert found[name] == (bytes.fromhex(written) if isinstance(found[name], bytes) else int(written))
    assert hashed.hex() == vector["struct_hash"]
    assert digest(vector["domain"], hashed).hex() == vector["digest"]
    assert signature.hex() == vector["signature"]
    assert signer(bytes.fromhex(vector["digest"]), signature) == wallet(secret)


def refuse_voucher(case, data, payer, payee):
    """What a payee refuses, in the order of §5.2; nothing beyond `accepted` was served."""
    found, hashed, signature = read("Voucher", data)
    accepted, _, old_signature = read("Voucher", bytes.fromhex(case["accepted"]))
    rate, tier = int(case["rate"]), case["kbps"]
    need(found["vault"].hex() == case["vault"], "UnknownVault")
    need(found["payee"] == payee, "WrongPayee")
    need(found["epoch"] == int(case["epoch"]), "WrongEpoch")
    need(found["amount"] >= accepted["amount"], "LowerAmount")
    need(found["bytes"] >= accepted["bytes"], "LowerBytes")
    same = all(found[name] == accepted[name] for name in LAYOUTS["Voucher"])
    need(not same or signature == old_signature, "OtherSignature")
    need(price(rate, tier, found["bytes"]) <= found["amount"], "Underpaid")
    need(found["bytes"] <= accepted["bytes"], "NotServed")
    need(found["amount"] <= int(case["funded"]), "OverVault")
    need(found["amount"] <= int(case["unredeemed_max"]), "OverExposure")
    need(signer(digest(case["domain"], hashed), signature) == payer, "OtherSigner")


def refuse_quote(case, data):
    """What a viewer refuses (§4.1)."""
    found, hashed, signature = read("Quote", data)
    now, tiers = int(case["now"]), -(-found["peak_kbps"] // 100)
    need(found["content"].hex() == case["content"], "OtherContent")
    need(found["valid_until"] - found["valid_from"] <= 86_400, "TooLong")
    need(now >= found["valid_from"], "NotYetValid")
    need(now <= found["valid_until"], "Expired")
    need(1 <= tiers <= 1_000_000, "NoTier")
    need(found["rate"] <= int(case["rate_max"]), "OverMaximum")
    need(found["peak_kbps"] >= case["peak_min_kbps"], "TooSlow")
    need(signer(digest(case["domain"], hashed), signature) == found["payee"], "OtherSigner")


# Operations (§12.2): tags and names of the table, types as the vectors spell them.
TAGS = {int(tag): name for tag, name in re.findall(r"^\| (\d+) \| `(\w+)\(", SPEC, re.MULTILINE)}
VOUCHER_BYTES, QUOTE_BYTES = 150, 162
NOTE_BYTES = 20 + 20 + 16 + 8 + 8 + 8 + 8 + 65 + 65


MOVES_ITS_AMOUNTS = {
    "Transfer", "Mint", "OpenVault", "FundVault", "RegisterCollateral", "TopUpCollateral", "Repay",
    "DepositPool", "ClaimShare", "OpenLock",
}


def take(data, at, width):
    need(at + width <= len(data), "Truncated")
    return data[at : at + width], at + width


def take_bytes(data, at, member):
    """A `bytes` of no fixed form: what it is, the member's name tells."""
    if member == "operator":
        return take(data, at, 33)
    if member == "note":
        return take(data, at, NOTE_BYTES)
    assert member == "evidence"
    kind = data[at]
    width = {2: 2 * VOUCHER_BYTES, 3: 2 * QUOTE_BYTES}[kind]
    return take(data, at, 1 + width)


def word(data, at, solidity, member):
    if solidity.endswith("[]"):
        raw, at = take(data, at, 4)
        words, item = [], solidity.removesuffix("[]")
        for _ in range(int.from_bytes(raw, "big")):
            width = VOUCHER_BYTES if item == "bytes" else WIDTHS[item]
            raw, at = take(data, at, width)
            words.append(keccak256(raw) if item == "bytes" else bytes(32 - width) + raw)
        return keccak256(b"".join(words)), at
    if solidity == "bytes":
        raw, at = take_bytes(data, at, member)
        return keccak256(raw), at
    raw, at = take(data, at, WIDTHS[solidity])
    return bytes(32 - len(raw)) + raw, at


def check_operation(vector, domain, actors, nonces, balances):
    data = bytes.fromhex(vector["encoded"])
    actor, signature, tag = data[:20], data[28:93], data[93]
    assert actor == wallet(actors[vector["actor"]])
    nonce = int.from_bytes(data[20:28], "big")
    assert nonce == nonces.get(actor, 0) == int(vector["nonce"])
    nonces[actor] = nonce + 1
    name, members = re.fullmatch(r"(\w+)\(address actor,uint64 nonce,(.*)\)", vector["type"]).groups()
    assert TAGS[tag] == name
    words, at = [bytes(12) + actor, uint(nonce)], 94
    amounts = []
    for member in members.split(","):
        solidity, member = member.split()
        hashed, at = word(data, at, solidity, member)
        words.append(hashed)
        if solidity == "uint128":
            amounts.append(int.from_bytes(hashed, "big"))
    assert at == len(data), "bytes after the end"
    assert struct_hash(vector["type"], words).hex() == vector["struct_hash"]
    assert digest(domain, bytes.fromhex(vector["struct_hash"])).hex() == vector["digest"]
    assert signature.hex() == vector["signature"]
    assert signer(bytes.fromhex(vector["digest"]), signature) == actor
    # What these say is what they move; what the others move depends on what came before.
    if name in MOVES_ITS_AMOUNTS:
        assert sum(int(entry["amount"]) for entry in vector["entries"]) == sum(amounts)
    for entry in vector["entries"]:
        amount = int(entry["amount"])
        assert amount > 0 and entry["debit"] != entry["credit"]
        balances[entry["debit"]] = balances.get(entry["debit"], 0) - amount
        balances[entry["credit"]] = balances.get(entry["credit"], 0) + amount
    assert all(held >= 0 for name, held in balances.items() if name != "emission"), vector
    return tag


# Payment messages (§5.6): after the kind and the version, the fields of the table in their order.

MESSAGES = {
    1: ("ask", [("content", 32), ("rate_max", 16), ("peak_min_kbps", 4)]),
    3: ("terms", [("vault", 32), ("serial", 8), ("rate", 16), ("tier", 4), ("from_bytes", 8),
                  ("from_amount", 16), ("position", 8)]),
    4: ("served", [("vault", 32), ("bytes", 8)]),
    6: ("objection", [("code", 1)]),
    7: ("credit request", [("serial", 8), ("lender", 20), ("borrower", 20), ("principal", 16),
                           ("bytes", 8), ("interest_bps", 8), ("due", 8), ("number", 8),
                           ("signature", 65)]),
    8: ("credit", [("loan", 32), ("bytes", 8)]),
    9: ("netting", [("vault", 32), ("bytes", 8)]),
}
NAMES_AND_HASHES = {"content", "vault", "loan", "lender", "borrower", "signature"}


def check_message(vector):
    data, fields = bytes.fromhex(vector["encoded"]), vector["fields"]
    # A quote and a voucher are as they are in §4 and §5.1, with a version of their own.
    if data[0] in (2, 5):
        kind = {2: "quote", 5: "voucher"}[data[0]]
        assert vector["kind"] == kind and data[1:].hex() == fields[kind]
        read(kind.capitalize(), data[1:])
        return data[0], None
    kind, layout = MESSAGES[data[0]]
    assert kind == vector["kind"] and data[1] == 1 and set(fields) == {name for name, _ in layout}
    assert len(data) == 2 + sum(width for _, width in layout)
    at = 2
    for name, width in layout:
        raw, at = data[at : at + width], at + width
        found = raw.hex() if name in NAMES_AND_HASHES else int.from_bytes(raw, "big")
        assert str(found) == str(fields[name]), (name, vector)
    return data[0], fields.get("code")


def check_refused(cases, refuse):
    for case in cases:
        try:
            refuse(bytes.fromhex(case["encoded"]))
        except Refused as why:
            assert str(why) == case["refusal"], (why, case)
            continue
        sys.exit(f"accepted, must be refused: {case}")


def main():
    vectors = json.loads((HERE / "incentive.json").read_text())
    secrets = {"Voucher": vectors["payer_secret"], "Quote": vectors["payee_secret"]}
    for case in vectors["prices"]:
        exact = price(int(case["rate"]), case["kbps"], int(case["bytes"]))
        assert case["price"] == (str(exact) if exact < 1 << 128 else None), case
    for vector in vectors["vouchers"]:
        check_signed("Voucher", vector, secrets["Voucher"])
    for vector in vectors["quotes"]:
        check_signed("Quote", vector, secrets["Quote"])
    ledger, nonces, balances = vectors["ledger"], {}, {}
    seen = {check_operation(it, ledger["domain"], ledger["actors"], nonces, balances)
            for it in ledger["operations"]}
    assert seen == set(TAGS), "one operation of each tag"
    messages = {check_message(it) for it in vectors["messages"]}
    assert {kind for kind, _ in messages} == set(range(1, 10)), "one message of each kind"
    assert {code for _, code in messages} == {None, *range(1, 10)}, "each objection"
    payer, payee = wallet(vectors["payer_secret"]), wallet(vectors["payee_secret"])
    vouchers, quotes = vectors["refused_vouchers"], vectors["refused_quotes"]
    check_refused(vouchers["refused"], lambda data: refuse_voucher(vouchers, data, payer, payee))
    check_refused(quotes["refused"], lambda data: refuse_quote(quotes, data))
    print(f"{len(vectors['prices'])} prices, {len(vectors['vouchers'])} vouchers, "
          f"{len(vectors['quotes'])} quotes, {len(ledger['operations'])} operations, "
          f"{len(vectors['messages'])} messages and "
          f"{len(vouchers['refused']) + len(quotes['refused'])} refusals agree with the specification")


if __name__ == "__main__":
    main()
