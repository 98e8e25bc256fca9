#!/usr/bin/env bash
# Builds what is released, leaves it in target/artefacts, and prints sizes:
#
#   benches/dist.sh                   all of it
#   benches/dist.sh program c python web
#
# program  the program, optimized at link time (some 20 minutes on two cores)
# c        headers, static and dynamic library
# python   a wheel for CPython 3.10 and later
# web      the page for browsers with the package that it uses; wants Debian, and tests both
set -euo pipefail
cd "$(dirname "$0")/.."
out=target/artefacts
mkdir -p "$out"
host=$(rustc -vV | sed -n 's/^host: //p')
case $host in
  *windows*) exe=.exe ;;
  *) exe= ;;
esac

program() {
  cargo build --locked --profile dist
  cp "target/dist/revox$exe" "$out/revox-$host$exe"
}

c() {
  cargo build --locked --release --manifest-path bindings/c/Cargo.toml --target-dir target/bindings
  local name=revox-c-$host library
  rm -rf "${out:?}/$name"
  mkdir -p "$out/$name/lib"
  cp -R bindings/c/include "$out/$name/include"
  # Each system has its own names.
  for library in librevox.a librevox.so librevox.dylib revox.lib revox.dll revox.dll.lib; do
    if [ -e "target/bindings/release/$library" ]; then
      cp "target/bindings/release/$library" "$out/$name/lib"
    fi
  done
  tar -czf "$out/$name.tar.gz" -C "$out" "$name"
  rm -r "${out:?}/$name"
}

python() {
  local tools=target/tools/maturin-1.16.0 bin=bin
  if [ -n "$exe" ]; then bin=Scripts; fi
  if [ ! -e "$tools/complete" ]; then
    rm -rf "$tools"
    "$(command -v python3 || echo python)" -m venv "$tools"
    "$tools/$bin/pip" install --quiet maturin==1.16.0
    touch "$tools/complete"
  fi
  CARGO_TARGET_DIR=target/python "$tools/$bin/maturin" build --quiet --locked --release \
    --manifest-path bindings/python/Cargo.toml --out "$out"
}

web() {
  REVOX_PROGRAM=${REVOX_PROGRAM:-target/dist/revox} bindings/web/check
  tar -czf "$out/revox-web.tar.gz" -C target/web site
}

if [ $# -eq 0 ]; then set -- program c python web; fi
for part in "$@"; do
  case $part in
    program | c | python | web) "$part" ;;
    *)
      echo "$0: \`$part\` is none of program, c, python, web" >&2
      exit 2
      ;;
  esac
done

for file in "$out"/*; do
  printf '%11d bytes %11d compressed  %s\n' \
    "$(wc -c < "$file")" "$(gzip -9 -c "$file" | wc -c)" "${file#"$out/"}"
done
