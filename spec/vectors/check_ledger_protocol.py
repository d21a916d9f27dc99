"""Checks `ledger_protocol.json` beside it with nothing but Python's standard library: a second reading
of `spec/incentive.md` §12.12 to §12.14, written from the text and not from the Rust code. Every request
and reply is read from its bytes and made of its fields again, and most of what must be refused is.

    python3 spec/vectors/check_ledger_protocol.py --write

makes the bytes of every request and reply anew from its fields, after a change of the format.
"""

import json
import pathlib
import re
import sys

from check_wire import Refused, need, point

HERE = pathlib.Path(__file__).parent
VECTORS = HERE / "ledger_protocol.json"
SPEC = (HERE.parent / "incentive.md").read_text()


def limit(constant):
    """A limit as a table of the specification has it."""
    return int(re.search(rf"^\| `{constant}` \| ([\d,]+) \|", SPEC, re.MULTILINE)[1].replace(",", ""))


REQUEST_MAX, REPLY_MAX = limit("LEDGER_REQUEST_BYTES_MAX"), limit("LEDGER_REPLY_BYTES_MAX")
WORD_MAX, OPERATION_MAX = limit("LEDGER_WORD_BYTES_MAX"), limit("OPERATION_BYTES_MAX")
OPERATIONS = {int(tag) for tag in re.findall(r"^\| (\d+) \| `\w+\(", SPEC[SPEC.index("### 12.2"):], re.MULTILINE)}

# What a type is: the name of a simple one, (name of a choice), or one of these.


def optional(of):
    return ("optional", of)


def listed(of, constant):
    return ("list", of, limit(constant))


def struct(*fields):
    return ("struct", fields)


NUMBERS = {"u8": 1, "u64": 8, "u128": 16}
BYTES = {"address": 20, "hash": 32, "key": 33}

ACCOUNT = ("choice", {
    0: ("wallet", [("address", "address")]),
    1: ("vault", [("id", "hash")]),
    2: ("penalty", [("id", "hash")]),
    3: ("collateral", [("owner", "address"), ("operator", "key")]),
    4: ("unbonding", [("owner", "address"), ("operator", "key")]),
    5: ("pool", [("id", "hash")]),
    6: ("bounty", [("id", "hash")]),
    7: ("lock", [("id", "hash")]),
    8: ("repair_fund", []),
    9: ("emission", []),
    10: ("burned", []),
})
WHAT = [("what", "word")]
SIGNATURE = ("choice", {
    0: ("high_s", []),
    1: ("recovery_byte", [("got", "u8")]),
    2: ("no_signer", []),
    3: ("other_signer", [("expected", "address"), ("got", "address")]),
})
FORM = ("choice", {
    0: ("truncated", [("field", "word"), ("expected", "u64"), ("got", "u64")]),
    1: ("too_long", [("field", "word"), ("expected", "u64"), ("got", "u64")]),
    2: ("kind", [("field", "word"), ("got", "u8")]),
    3: ("invalid", [("field", "word")]),
    4: ("trailing", [("got", "u64")]),
})
REFUSAL = ("choice", {
    0: ("nonce", [("expected", "u64"), ("got", "u64")]),
    1: ("signature", [("error", SIGNATURE)]),
    2: ("form", [("error", FORM)]),
    3: ("insufficient", [("account", ACCOUNT), ("available", "u128"), ("needed", "u128")]),
    4: ("overflow", WHAT),
    5: ("actor", [("expected", "word")]),
    6: ("unknown", WHAT),
    7: ("exists", WHAT),
    8: ("state", [("what", "word"), ("expected", "word")]),
    9: ("too_early", [("what", "word"), ("from", "u64"), ("now", "u64")]),
    10: ("too_late", [("what", "word"), ("until", "u64"), ("now", "u64")]),
    11: ("amount", [("what", "word"), ("least", "u128"), ("most", "u128"), ("got", "u128")]),
    12: ("count", [("what", "word"), ("least", "u64"), ("most", "u64"), ("got", "u64")]),
    13: ("order", WHAT),
    14: ("unproven", []),
    15: ("hash", WHAT),
})
ENTRY = struct(("debit", ACCOUNT), ("credit", ACCOUNT), ("amount", "u128"))
RECEIPT = struct(("operation", "hash"), ("sequence", "u64"), ("time", "u64"),
                 ("entries", listed(ENTRY, "ENTRIES_MAX")))
RESULT = ("choice", {0: ("done", [("receipt", RECEIPT)]), 1: ("refused", [("refusal", REFUSAL)])})
GENESIS = [
    ("chain_id", "u64"), ("contract", "address"), ("operator", "address"), ("genesis_supply", "u128"),
    ("genesis", "u64"), ("epoch_s", "u64"), ("emission_per_epoch", "u128"), ("collateral_min", "u128"),
    ("unbonding_s", "u64"), ("vault_unlock_s", "u64"), ("slash_bps", "u64"), ("reporter_bps", "u64"),
    ("burn_bps", "u64"), ("interest_max_bps", "u64"), ("reveal_s", "u64"), ("dispute_s", "u64"),
]
LOAN = struct(
    ("lender", "address"), ("borrower", "address"), ("principal", "u128"), ("bytes", "u64"),
    ("interest_bps", "u64"), ("due", "u64"), ("number", "u64"), ("outstanding", "u128"),
    ("defaulted", "flag"))
PEOPLE = listed("address", "LIST_LEN_MAX")
BOUNTY_STATE = ("choice", {
    0: ("open", []),
    1: ("approved", [("claimant", "address"), ("payable", "u64")]),
    2: ("paid", [("claimant", "address")]),
    3: ("refunded", []),
})
LOCK_STATE = ("choice", {0: ("open", []), 1: ("claimed", [("key", "hash")]), 2: ("refunded", [])})
LOCK = struct(
    ("payer", "address"), ("payee", "address"), ("amount", "u128"), ("salt", "hash"),
    ("commitment", "hash"), ("deadline", "u64"), ("state", LOCK_STATE))
REQUEST = ("choice", {
    0: ("info", []),
    1: ("submit", [("operations", listed("operation", "LEDGER_BATCH_MAX"))]),
    2: ("balance", [("account", ACCOUNT)]),
    3: ("nonce", [("actor", "address")]),
    4: ("receipt", [("operation", "hash")]),
    5: ("vault", [("vault", "hash")]),
    6: ("redeemed", [("vault", "hash"), ("payee", "address"), ("epoch", "u64")]),
    7: ("record", [("wallet", "address")]),
    8: ("registration", [("owner", "address"), ("operator", "key")]),
    9: ("liens", [("borrower", "address")]),
    10: ("loan", [("loan", "hash")]),
    11: ("pool", [("pool", "hash")]),
    12: ("pool_epoch", [("pool", "hash"), ("epoch", "u64")]),
    13: ("bounty", [("bounty", "hash")]),
    14: ("claim", [("bounty", "hash"), ("claimant", "address")]),
    15: ("lock", [("lock", "hash")]),
    16: ("open_locks", [("payee", "address"), ("after", "hash")]),
})
REPLY = ("choice", {
    0: ("info", GENESIS + [("count", "u64"), ("hash", "hash"), ("time", "u64")]),
    1: ("submitted", [("results", listed(RESULT, "LEDGER_BATCH_MAX"))]),
    2: ("balance", [("amount", "u128")]),
    3: ("nonce", [("nonce", "u64")]),
    4: ("receipt", [("receipt", optional(RECEIPT))]),
    5: ("vault", [("vault", optional(struct(
        ("vault", "hash"), ("owner", "address"), ("epoch", "u64"), ("funded", "u128"),
        ("redeemed", "u128"), ("penalty", "u128"), ("closes", optional("u64")))))]),
    6: ("redeemed", [("amount", "u128")]),
    7: ("record", [("since", "u64"), ("slashes", "u64"), ("slashed", "u128"), ("overspends", "u64"),
                   ("defaults", "u64"), ("loans_repaid", "u64")]),
    8: ("registration", [("registration", optional(struct(
        ("since", "u64"), ("withdrawable", optional("u64")), ("collateral", "u128"),
        ("is_masternode", "flag"))))]),
    9: ("liens", [("loans", listed(struct(("id", "hash"), ("loan", LOAN)), "LOANS_OPEN_MAX"))]),
    10: ("loan", [("loan", optional(LOAN))]),
    11: ("pool", [("pool", optional(struct(
        ("members", PEOPLE), ("quorum", "u64"), ("deadline", "u64"), ("deposited", "u128"),
        ("reserved", "u128"), ("returned", optional("u128")))))]),
    12: ("pool_epoch", [("epoch", optional(struct(
        ("root", "hash"), ("total", "u128"), ("claimed", "u128"))))]),
    13: ("bounty", [("bounty", optional(struct(
        ("opener", "address"), ("wanted", "hash"), ("reward", "u128"), ("judges", PEOPLE),
        ("quorum", "u64"), ("deadline", "u64"), ("disputed", "flag"), ("state", BOUNTY_STATE))))]),
    14: ("claim", [("claim", optional(struct(
        ("commitment", "hash"), ("committed", "u64"), ("order", "u64"), ("content", optional("hash")))))]),
    15: ("lock", [("lock", optional(LOCK))]),
    16: ("open_locks", [("locks", listed(struct(("id", "hash"), ("lock", LOCK)), "LEDGER_LOCKS_MAX"))]),
    64: ("busy", []),
    65: ("unavailable", []),
    66: ("malformed", []),
})


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, width):
        need(self.at + width <= len(self.data), "Truncated")
        self.at += width
        return self.data[self.at - width : self.at]

    def number(self, width):
        return int.from_bytes(self.take(width), "big")

    def length(self, most):
        length = self.number(4)
        need(length <= most, "TooLong")
        return length

    def flag(self):
        flag = self.number(1)
        need(flag <= 1, "Kind")
        return flag == 1

    def fields(self, fields):
        return {name: self.value(of) for name, of in fields}

    def simple(self, of):
        if of in NUMBERS:
            number = self.number(NUMBERS[of])
            return number if of == "u8" else str(number)
        if of in BYTES:
            value = self.take(BYTES[of])
            if of == "key":
                try:
                    point(value)
                except Refused:
                    raise Refused("Invalid") from None
            return value.hex()
        if of == "flag":
            return self.flag()
        if of == "word":
            length = self.number(1)
            need(length <= WORD_MAX, "TooLong")
            return self.take(length).decode()
        assert of == "operation"
        operation = self.take(self.length(OPERATION_MAX))
        # Actor, nonce and signature, then the tag; the rest is of `incentive.json`.
        need(len(operation) >= 94, "Truncated")
        need(operation[93] in OPERATIONS, "Kind")
        return operation.hex()

    def value(self, of):
        if isinstance(of, str):
            return self.simple(of)
        if of[0] == "optional":
            return self.value(of[1]) if self.flag() else None
        if of[0] == "list":
            return [self.value(of[1]) for _ in range(self.length(of[2]))]
        if of[0] == "struct":
            return self.fields(of[1])
        tag = self.number(1)
        need(tag in of[1], "Kind")
        name, fields = of[1][tag]
        return {"kind": name, **self.fields(fields)}


def read(of, data, most):
    need(len(data) <= most, "TooLong")
    reader = Reader(data)
    value = reader.value(of)
    need(reader.at == len(data), "Trailing")
    return value


def write_simple(of, value):
    if of in NUMBERS:
        return int(value).to_bytes(NUMBERS[of], "big")
    if of == "flag":
        return bytes([value])
    if of == "word":
        return bytes([len(value)]) + value.encode()
    data = bytes.fromhex(value)
    return data if of in BYTES else len(data).to_bytes(4, "big") + data


def write(of, value):
    if isinstance(of, str):
        return write_simple(of, value)
    if of[0] == "optional":
        return b"\0" if value is None else b"\1" + write(of[1], value)
    if of[0] == "list":
        return len(value).to_bytes(4, "big") + b"".join(write(of[1], item) for item in value)
    if of[0] == "struct":
        return b"".join(write(kind, value[name]) for name, kind in of[1])
    [(tag, fields)] = [(tag, fields) for tag, (name, fields) in of[1].items() if name == value["kind"]]
    return bytes([tag]) + b"".join(write(kind, value[name]) for name, kind in fields)


KINDS = {"request": (REQUEST, REQUEST_MAX), "reply": (REPLY, REPLY_MAX)}


def kinds(of, value, found):
    """Every kind of a choice that is in `value`."""
    if isinstance(of, str) or value is None:
        return
    if of[0] == "optional":
        found.add("something")
        kinds(of[1], value, found)
    elif of[0] == "list":
        for item in value:
            kinds(of[1], item, found)
    elif of[0] == "struct":
        for name, kind in of[1]:
            kinds(kind, value[name], found)
    else:
        found.add((id(of[1]), value["kind"]))
        fields = next(fields for name, fields in of[1].values() if name == value["kind"])
        for name, kind in fields:
            kinds(kind, value[name], found)


def main():
    vectors = json.loads(VECTORS.read_text())
    if "--write" in sys.argv[1:]:
        for what, (of, _) in KINDS.items():
            for vector in vectors[what]:
                vector["bytes"] = write(of, vector["fields"]).hex()
        VECTORS.write_text(json.dumps(vectors, indent=2) + "\n")
    found = set()
    for what, (of, most) in KINDS.items():
        for vector in vectors[what]:
            data = bytes.fromhex(vector["bytes"])
            assert read(of, data, most) == vector["fields"], vector
            assert write(of, vector["fields"]) == data, vector
            kinds(of, vector["fields"], found)
    for choice in (REQUEST, REPLY, ACCOUNT, REFUSAL, SIGNATURE, FORM, RESULT, BOUNTY_STATE, LOCK_STATE):
        for name, _ in choice[1].values():
            assert (id(choice[1]), name) in found, f"no vector of {name}"
    for case in vectors["refused"]:
        of, most = KINDS[case["what"]]
        try:
            got = read(of, bytes.fromhex(case["bytes"]), most)
        except Refused as refused:
            assert str(refused) == case["reason"], (case, str(refused))
        else:
            raise AssertionError(f"{case['why']}: read as {got}")
    requests, replies, refused = (len(vectors[name]) for name in ("request", "reply", "refused"))
    known = {vector["bytes"] for what in KINDS for vector in vectors[what]}
    # The examples of §12.13.
    for example in ("03" + "11" * 20, "03" + f"{7:016x}", "010000000101060576" + "61756c74", "40"):
        assert example in known, example
    print(f"{requests} requests, {replies} replies and {refused} refusals agree with the specification")


if __name__ == "__main__":
    sys.exit(main())
