"""The built player, crates/pop-web/dist: does it match its sources, and is it small enough?

`web.py` checks what is checked in. `web.py same DIR` compares it with another build, if the
compiler was the same. `web.py record DIR COMPILER` describes a build, for crates/pop-web/build.sh.
"""

import gzip
import hashlib
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
WEB = ROOT / "crates/pop-web"
DIST = WEB / "dist"
CRATES = ["pop-wire", "pop-erasure", "pop-exchange", "pop-incentive", "pop-signal", "pop-web"]
KIB = 1024
# After gzip. The wasm and the scripts of the library, and the service worker.
LIMITS = {"wasm and scripts": 350 * KIB, "sw.js": 3 * KIB}
# Parts of the page, not of the library.
PAGE = {"player.js", "player.css", "player.html"}


def sources():
    for crate in CRATES:
        yield ROOT / "crates" / crate / "Cargo.toml"
        yield from (ROOT / "crates" / crate / "src").rglob("*.rs")
    yield from (WEB / "bundle").glob("Cargo.*")
    yield from (WEB / "bundle/src").glob("*.rs")
    yield from [WEB / "build.sh", *(WEB / "js").iterdir(), *(WEB / "page").iterdir()]


def sources_digest():
    """Of every file that the player is made of, and of its dependencies as they are locked."""
    digest = hashlib.sha256()
    for path in sorted(sources()):
        digest.update(f"{path.relative_to(ROOT).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    tree = ["cargo", "tree", "--locked", "-p", "pop-web", "--target", "wasm32-unknown-unknown"]
    tree += ["--edges", "normal,build", "--prefix", "none", "--format", "{p} {f}"]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("RUSTC", "CARGO_ENCODED"))}
    listed = subprocess.run(tree, cwd=ROOT, env=env, check=True, capture_output=True, text=True)
    packages = {line.removesuffix(" (*)").replace(str(ROOT), "") for line in listed.stdout.split("\n")}
    digest.update("\n".join(sorted(packages)).encode())
    manifest = (ROOT / "Cargo.toml").read_text()
    digest.update(manifest[manifest.index("[profile.release]"):].encode())
    return digest.hexdigest()


def file_digests(directory):
    files = sorted(path for path in directory.iterdir() if path.name != "BUILD.json")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def sizes(directory):
    """Bytes after gzip, each file by itself, as it is sent."""
    packed = {
        path.name: len(gzip.compress(path.read_bytes(), 9))
        for path in directory.iterdir()
        if path.suffix in {".js", ".wasm"} and path.name not in PAGE
    }
    worker = packed.pop("sw.js")
    return {"wasm and scripts": sum(packed.values()), "sw.js": worker}


def record(directory, compiler):
    build = {
        "sources": sources_digest(),
        "compiler": compiler,
        "files": file_digests(directory),
        "gzip_bytes": sizes(directory),
    }
    (directory / "BUILD.json").write_text(json.dumps(build, indent=2) + "\n")
    for name, size in build["gzip_bytes"].items():
        print(f"{name}: {size:,} bytes gzip, of {LIMITS[name]:,}")


def breaches():
    build = json.loads((DIST / "BUILD.json").read_text())
    if build["files"] != file_digests(DIST):
        yield "a file of crates/pop-web/dist is not the one that was built"
    if build["sources"] != sources_digest():
        yield "crates/pop-web/dist is older than its sources: run crates/pop-web/build.sh"
    for name, size in sizes(DIST).items():
        if size > LIMITS[name]:
            yield f"{name}: {size:,} bytes gzip, more than {LIMITS[name]:,}"


def differences(other):
    ours, theirs = (json.loads((it / "BUILD.json").read_text()) for it in (DIST, other))
    if ours["compiler"] != theirs["compiler"]:
        print(f"not compared: built with {ours['compiler']}, here is {theirs['compiler']}")
        return
    for name in sorted(ours["files"].keys() | theirs["files"].keys()):
        if ours["files"].get(name) != theirs["files"].get(name):
            yield f"crates/pop-web/dist/{name} is not what its sources make"


match sys.argv[1:]:
    case ["record", directory, compiler]:
        record(pathlib.Path(directory), compiler)
        found = []
    case ["same", directory]:
        found = list(differences(pathlib.Path(directory)))
    case []:
        found = list(breaches())
    case _:
        sys.exit(__doc__)
print("\n".join(found))
sys.exit(1 if found else 0)
