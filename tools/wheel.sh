#!/usr/bin/env bash
# The release wheel for Linux: built here and again from the sdist in another folder, which must give the same bytes;
# checked by the tools that know wheels; tried in clean environments with the oldest and the newest numpy.
# `make wheel` runs it, with the tools in the folder named by the first argument.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$(realpath "$1"):$PATH
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Nothing that differs between two machines may show: neither the time, nor a folder.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 1767225600)}
export SOURCE_DATE_EPOCH

# build FOLDER OUT: the wheel of the sources in FOLDER. Cargo tells the SBOM where they lie, and has no option not to.
build() (
  cd "$1"
  separator=$'\x1f' # a folder's name may hold spaces
  flags="--remap-path-prefix=$PWD=querist$separator--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"
  parts=$(mktemp -d -p "$scratch")
  CARGO_ENCODED_RUSTFLAGS=$flags maturin build --release --locked --zig --compatibility manylinux2014 --out "$parts"
  wheel unpack --dest "$parts" "$parts"/*.whl
  sed -i 's|path+file://[^"#]*/rust/|path+file:///rust/|g' "$parts"/querist-*/*.dist-info/sboms/*.json
  wheel pack --dest-dir "$2" "$parts"/querist-*/
)

rm -rf dist
maturin sdist --out dist
build . "$PWD/dist"
wheel=$(echo dist/*.whl)

mkdir "$scratch/sources" "$scratch/again"
tar -xzf dist/*.tar.gz -C "$scratch/sources" --strip-components 1
build "$scratch/sources" "$scratch/again"
cmp "$wheel" "$scratch"/again/*.whl

auditwheel show "$wheel" | tee "$scratch/audit"
grep -q '"manylinux_2_17_' "$scratch/audit"
abi3audit --strict --summary "$wheel"
twine check --strict dist/*
check-wheel-contents "$wheel"

for numpy in 'numpy==1.26.0' numpy; do
  python3 -m venv --clear "$scratch/clean"
  "$scratch/clean/bin/pip" install --quiet "$numpy"
  "$scratch/clean/bin/pip" install --quiet --no-index "$wheel"
  "$scratch/clean/bin/python" -P -W error tools/smoke.py
done
ls -l dist
