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

for line in breaches:
    print(line)
print(f"{len(breaches)} breaches")
sys.exit(1 if breaches else 0)
