#!/bin/sh
# JPEG file to hash. Builds the Rust half and runs both on one core. Needs: pip install threatexchange pdqhash pillow numpy
set -eu
cd "$(dirname "$0")/../.."
cargo build --release --quiet --locked -p manara --bin manara --example bench_file
built=${CARGO_TARGET_DIR:-target}/release
exec taskset -c "${CORE:-0}" python3 bench/pdq/bench_files.py "$built/examples/bench_file" "$built/manara"
