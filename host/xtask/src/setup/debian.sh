# A Rust compiler for wasm32-wasip2 from Debian's own packages. The C library of WASI comes from
# trixie, because older releases have none for this target: fetched with a package source of its
# own, checked with Debian's keys, and unpacked beside the compiler's libraries.
apt-get update
apt-get install -y --no-install-recommends rustc-web cargo-web rust-web-src rust-web-llvm lld-22
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -n 1)
work=$(mktemp -d)
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/root"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" > "$work/sources.list"
set -- -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
  -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache"
apt-get "$@" update
(cd "$work" && apt-get "$@" download wasi-libc && dpkg -x wasi-libc_*.deb root)
libraries=/usr/lib/rustlib/wasm32-wasip2/lib/self-contained
mkdir -p "$libraries"
cp "$work"/root/usr/lib/wasm32-wasip2/*.a "$work"/root/usr/lib/wasm32-wasip2/*.o "$libraries/"
rm -r "$work"
