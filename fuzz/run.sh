#!/usr/bin/env bash
# Fuzzes one target on the stable toolchain, without cargo-fuzz:
#
#   fuzz/run.sh TARGET [libFuzzer options]     e.g. fuzz/run.sh wire_decode -max_total_time=600
#   fuzz/run.sh TARGET FILE...                 runs these inputs once
#
# POP_FUZZ_SANITIZER=address adds AddressSanitizer (an unstable flag of the same compiler).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -ge 1 ] || { sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
target=$1
shift

# The flags that cargo-fuzz passes. With --target they stay away from build scripts.
flags="-Cpasses=sancov-module -Ccodegen-units=1 --cfg fuzzing"
for option in level=4 inline-8bit-counters pc-table trace-compares; do
    flags+=" -Cllvm-args=-sanitizer-coverage-$option"
done
built=$here/target/fuzz
if [ -n "${POP_FUZZ_SANITIZER:-}" ]; then
    export RUSTC_BOOTSTRAP=1
    flags+=" -Zsanitizer=$POP_FUZZ_SANITIZER"
    built+="-$POP_FUZZ_SANITIZER"
fi
host=$(rustc -vV | sed -n 's/^host: //p')
manifest=$here/Cargo.toml

# Seeds go into the corpus; making them fails if the vectors of the specification do not decode.
cargo run --quiet --locked --manifest-path "$manifest" --example seed
RUSTFLAGS="$flags" cargo build --quiet --locked --release --manifest-path "$manifest" \
    --target "$host" --target-dir "$built" --bin "$target"

corpus=$here/corpus/$target
mkdir -p "$corpus" "$here/artifacts/$target"
inputs=("$corpus")
for argument in "$@"; do
    [ -f "$argument" ] && inputs=()
done
exec "$built/$host/release/$target" -artifact_prefix="$here/artifacts/$target/" \
    "$@" ${inputs[@]+"${inputs[@]}"}
