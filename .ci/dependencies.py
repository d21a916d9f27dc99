"""Checks the resolved dependencies against the licences, bans and sources of `deny.toml`, without
a tool that would have to be compiled first. `cargo deny` reads the same file and checks more."""

import pathlib
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
POLICY = tomllib.loads((ROOT / "deny.toml").read_text())
ALLOWED = set(POLICY["licenses"]["allow"])


def tokens(expression):
    expression = expression.replace("/", " OR ").replace("(", " ( ").replace(")", " ) ")
    words = expression.split()
    while "WITH" in words:
        at = words.index("WITH")
        words[at - 1 : at + 2] = [" ".join(words[at - 1 : at + 2])]
    return words


def permits(words):
    """Whether an SPDX expression can be met with allowed licences: OR of ANDs, with brackets."""
    any_branch, branch = False, True
    while words and words[0] != ")":
        word = words.pop(0)
        if word == "OR":
            any_branch, branch = any_branch or branch, True
        elif word == "(":
            branch = permits(words) and branch
            words.pop(0)
        elif word != "AND":
            branch = word in ALLOWED and branch
    return any_branch or branch


tree = ["cargo", "tree", "--locked", "--workspace", "--all-features", "--target", "all"]
tree += ["--edges", "normal,build", "--prefix", "none", "--format", "{p}|{l}"]
lines = subprocess.run(tree, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\n")
# "name v1.2.3 (where from, if not the registry) (proc-macro)|licence (*)"
packages = sorted({tuple(line.removesuffix(" (*)").split("|")) for line in lines if line})
bans = POLICY["bans"]["deny"]
single = {ban["crate"] for ban in bans if ban.get("deny-multiple-versions")}
banned = {ban["crate"] for ban in bans} - single

breaches = []
versions = {}
for package, licence in packages:
    name, version, *source = package.split()
    versions.setdefault(name, set()).add(version)
    if any("://" in part for part in source):
        breaches.append(f"{package}: does not come from the registry")
    if name in banned:
        breaches.append(f"{package}: is banned")
    if not licence or not permits(tokens(licence)):
        breaches.append(f"{package}: licence {licence or 'none'} is not allowed")
for crate in sorted(single):
    if len(versions.get(crate, ())) > 1:
        breaches.append(f"{crate}: more than one version: {sorted(versions[crate])}")

for line in breaches:
    print(line)
print(f"{len(packages)} packages, {len(breaches)} breaches")
sys.exit(1 if breaches else 0)
