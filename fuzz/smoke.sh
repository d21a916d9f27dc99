#!/usr/bin/env bash
# Fuzzes every target for a short while: fuzz/smoke.sh [SECONDS], 220 by default for all targets
# together, so that a new one makes it no longer, shared by as many cores as there are. Fails if
# anything is found; the input is then in fuzz/artifacts/TARGET/. The seed is fixed, so that a change
# does not fail for what an earlier one did; long runs by hand (README.md) draw theirs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
targets=(fuzz_targets/*.rs)
seconds=$((${1:-220} / ${#targets[@]}))
[ "$seconds" -ge 1 ] || { echo "expected at least ${#targets[@]} seconds, one a target" >&2; exit 2; }
mkdir -p target

smoke() {
    local target=$1 seconds=$2 log=target/$1.log
    ./run.sh "$target" -seed=2957 -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 >"$log" 2>&1 || {
        echo "fuzz $target: FAILED"
        tail -n 60 "$log"
        return 1
    }
    echo "fuzz $target for $seconds s"
    grep -E '^(Done|stat::(number_of_executed_units|peak_rss_mb))' "$log"
}
export -f smoke

basename -s .rs "${targets[@]}" \
    | xargs -P "$(nproc)" -I '{}' bash -euo pipefail -c 'smoke "$0" "$1"' '{}' "$seconds"
