#!/usr/bin/env bash
# Builds the player into dist/ (or the directory given): `crates/pop-web/build.sh [OUT]`.
#
# Takes the target that rustup has; else Debian's compiler (packages rustc-web, rust-web-src and
# lld-22), which knows it too. The same compiler makes the same bytes on every machine.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
out=$(realpath -m "${1:-$here/dist}")
target=${CARGO_TARGET_DIR:-$root/target}
triple=wasm32-unknown-unknown
export CARGO_INCREMENTAL=0 CARGO_TARGET_DIR=$target

# The program that writes the JavaScript around the wasm runs here, not in a browser.
cargo build --quiet --locked --manifest-path "$here/bundle/Cargo.toml" --target-dir "$target/bundle"

smaller=()
build=(cargo build --locked --profile web --target "$triple" -p pop-web --lib)
if [ ! -d "$(rustc --print sysroot)/lib/rustlib/$triple/lib" ]; then
    export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
    export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=${WASM_LD:-/usr/bin/wasm-ld-22}
    build+=(-Zbuild-std=std,panic_abort -Zbuild-std-features=optimize_for_size)
    # The curve in words of 32 bits: wasm has no product of 64-bit words that is 128 bits long. Three
    # times as fast, and smaller; the cipher is faster with 64. One flag says it for all crates,
    # so it goes to these two alone.
    build+=(-Zprofile-rustflags)
    for crate in crypto-bigint k256; do
        build+=(--config "profile.web.package.$crate.rustflags=['--cfg', 'cpubits=\"32\"']")
    done
    # A panic ends the worker either way; without words for it the wasm is smaller.
    smaller=(-Zunstable-options -Cpanic=immediate-abort -Zfmt-debug=none -Zlocation-detail=none)
fi
compiler=$("${RUSTC:-rustc}" --version)
sysroot=$("${RUSTC:-rustc}" --print sysroot)

# Every browser that can give a data channel to a worker has SIMD. No path of this machine ends up
# in the result.
flags=(-Ctarget-feature=+simd128 "--remap-path-prefix=$root=/pop"
    "--remap-path-prefix=$sysroot/lib/rustlib/src/rust=/rust")
flags+=("${smaller[@]}")
for registry in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/; do
    flags+=("--remap-path-prefix=$registry=/registry/")
done
CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f'; echo "${flags[*]}")
export CARGO_ENCODED_RUSTFLAGS
(cd "$root" && "${build[@]}")

mkdir -p "$out"
find "$out" -mindepth 1 -delete
"$target/bundle/debug/bundle" "$target/$triple/web/pop_web.wasm" "$out"
rm -f "$out"/*.d.ts
cp "$here"/js/* "$here"/page/* "$out/"
python3 "$root/.ci/web.py" record "$out" "$compiler"
