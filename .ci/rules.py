"""Rules about the repository that no compiler checks. Prints every breach; fails if there is one."""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINES_MAX = 500
GENERATED = {"crates/pop-wire/src/proto/pop.v1.rs"}
PUBLISHED = sorted(path.parent for path in ROOT.glob("crates/*/Cargo.toml"))

breaches = []


def breach(path, text):
    breaches.append(f"{path.relative_to(ROOT)}: {text}")


def tracked(pattern):
    names = subprocess.run(
        ["git", "ls-files", "-z", "--", pattern], cwd=ROOT, check=True, capture_output=True
    ).stdout.decode()
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).exists()]


for path in tracked("*.rs"):
    name = path.relative_to(ROOT).as_posix()
    text = path.read_text()
    if path.name == "mod.rs":
        breach(path, "modules are named `foo.rs`, not `foo/mod.rs`")
    if re.search(r"^\s*#\[ignore", text, re.MULTILINE):
        breach(path, "a test that is ignored is no test")
    code = text.split("#[cfg(test)]\nmod tests {")[0]
    lines = code.count("\n")
    if re.match(r"crates/[^/]+/src/", name) and name not in GENERATED and lines > LINES_MAX:
        breach(path, f"{lines} lines without tests, more than {LINES_MAX}: split it")
    if re.fullmatch(r"crates/[^/]+/src/lib\.rs", name):
        if "#![forbid(unsafe_code)]" not in text:
            breach(path, "lacks #![forbid(unsafe_code)]")
        if "#![warn(missing_docs)]" not in text:
            breach(path, "lacks #![warn(missing_docs)]")

for crate in PUBLISHED:
    for name in ("LICENSE-MIT", "LICENSE-APACHE", "README.md", "CHANGELOG.md"):
        path = crate / name
        if not path.exists():
            breach(path, "is missing")
        elif name.startswith("LICENSE") and path.read_bytes() != (ROOT / name).read_bytes():
            breach(path, "differs from the one at the root")

# A relative link in a document must lead somewhere.
for path in tracked("*.md"):
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not re.match(r"[a-z]+:", target) and not (path.parent / target).exists():
            breach(path, f"the link to {target} leads nowhere")

# Every bound of a format stands in its specification with its value, and no other does.
LIMIT_TABLES = {
    "spec/wire.md": ["crates/pop-wire/src/limits.rs"],
    "spec/exchange.md": ["crates/pop-exchange/src/limits.rs"],
    "spec/signal.md": ["crates/pop-signal/src/limits.rs"],
    "spec/incentive.md": [
        "crates/pop-incentive/src/limits.rs",
        "crates/pop-incentive/src/ledger/limits.rs",
    ],
}


def definitions(path):
    """Name and expression of each constant."""
    text = re.sub(r"//.*", "", path.read_text()).replace("pop_wire::limits::", "")
    return dict(re.findall(r"pub const (\w+): \w+ =\s*(.+?);", text, re.DOTALL))


WIRE = definitions(ROOT / "crates/pop-wire/src/limits.rs")


def constants(path):
    """Name and value of each constant: sums, products and shifts of integers, of each other and of
    the wire's."""
    found = definitions(path)
    known = WIRE | found

    def value(name):
        terms = re.sub(r"\bas usize\b|(?<=\d)_(?=\d)", "", known[name])
        return re.sub(r"[A-Z_]{2,}", lambda term: f"({value(term.group())})", terms)

    return {name: eval(value(name), {"__builtins__": {}}) for name in found}


for document, sources in LIMIT_TABLES.items():
    code = {}
    for source in sources:
        for name, value in constants(ROOT / source).items():
            if name in code:
                breach(ROOT / source, f"{name} is another file's limit too")
            code[name] = value
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \| ([\d,]+) \|", (ROOT / document).read_text(), re.MULTILINE)
    table = {name: int(value.replace(",", "")) for name, value in rows}
    for name in sorted(code.keys() | table.keys()):
        if code.get(name) != table.get(name):
            where = " or ".join(sources)
            breach(ROOT / document, f"{name} is {table.get(name)} here, {code.get(name)} in {where}")

# A section that is cited must exist. Within a document, and in a `limits.rs` whose head names one,
# a bare section is that document's own.
SECTIONS = {
    path.name: set(re.findall(r"^#+ (\d+(?:\.\d+)*)", path.read_text(), re.MULTILINE))
    for path in ROOT.glob("spec/*.md")
}
CITATION = re.compile(r"(?:`?(?:spec/)?\b([a-z]+\.md)[`)]?,? )?§§?(\d+(?:\.\d+)*)")
for path in tracked("*.rs") + tracked("*.proto") + tracked("*.md"):
    name = path.relative_to(ROOT).as_posix()
    text = path.read_text()
    own = path.name if name.startswith("spec/") else None
    if path.name == "limits.rs":
        head = re.search(r"spec/([a-z]+\.md)", text)
        own = head.group(1) if head else None
    # A citation may be broken over two lines of a comment.
    joined = re.sub(r"\n\s*(?://[/!]?|\*)? ?", " ", text)
    for document, section in CITATION.findall(joined):
        document = document or own
        if document in SECTIONS and section not in SECTIONS[document]:
            breach(path, f"{document} has no §{section}")
        elif document and document not in SECTIONS:
            breach(path, f"cites spec/{document} §{section}, which does not exist")

for line in breaches:
    print(line)
print(f"{len(breaches)} breaches")
sys.exit(1 if breaches else 0)
