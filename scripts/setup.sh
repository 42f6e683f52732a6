#!/bin/sh
# Installs what moonloop needs and this machine lacks, with apt (through sudo when not root), and
# puts llhttp's sources into .deps where the distribution has no library of it. Quick, silent and
# without network when nothing is missing.
#
#   scripts/setup.sh          what building, running and testing need
#   scripts/setup.sh --dev    also what .ci/run needs: luacheck, clang-format, clang's fuzzer, fiu-run,
#                             nginx and openssl for specs of the client, and what bench/run needs
#                             beside its peers: Python, wrk
set -eu
cd "$(dirname "$0")/.."

missing=''     # Debian package names
descriptions='' # the same for people, a line each

have() { command -v "$1" >/dev/null 2>&1; }
library() { have pkg-config && pkg-config --exists "$1"; }
exists() { # true when one of the (globbed) files is there
  for file in "$@"; do [ ! -e "$file" ] || return 0; done
  return 1
}
lua_module() { # as Lua finds it, pure or C
  exists /usr/share/lua/5.4/"$1".lua /usr/share/lua/5.4/"$1"/init.lua \
    /usr/local/share/lua/5.4/"$1".lua /usr/local/share/lua/5.4/"$1"/init.lua \
    /usr/lib/lua/5.4/"$1".so /usr/lib/*/lua/5.4/"$1".so /usr/local/lib/lua/5.4/"$1".so
}
need() { # need PACKAGE DESCRIPTION CHECK...
  package=$1 description=$2
  shift 2
  if ! "$@"; then
    missing="$missing $package"
    descriptions="$descriptions  $description
"
  fi
}

need gcc 'a C11 compiler (gcc or clang), as cc' have cc
need libc6-dev 'the C library headers' exists /usr/include/stdio.h
need make 'make' have make
need cmake 'CMake 3.21 or later' have cmake
need pkg-config 'pkg-config' have pkg-config
need liblua5.4-dev 'Lua 5.4 with headers and static library' library lua5.4
need libuv1-dev 'libuv with headers' library libuv
need libcurl4-openssl-dev 'libcurl with headers' library libcurl
need libedit-dev 'libedit with headers' library libedit
need zlib1g-dev 'zlib with headers' library zlib
need libbrotli-dev 'brotli with headers' library libbrotlienc
need libsodium-dev 'libsodium with headers' library libsodium
need lua-cjson 'lua-cjson for Lua 5.4' lua_module cjson
need lua-busted 'busted for Lua 5.4' lua_module busted
need ca-certificates 'the certificates of the public authorities' \
  exists /etc/ssl/certs/ca-certificates.crt /etc/ssl/cert.pem /etc/pki/tls/certs/ca-bundle.crt
need curl 'curl' have curl
if [ "${1:-}" = --dev ]; then
  need lua-check 'luacheck' have luacheck
  need clang-format 'clang-format' have clang-format
  need clang 'clang' have clang
  need libclang-rt-dev "clang's fuzzer runtime (libclang-rt)" \
    exists /usr/lib/clang/*/lib/linux/libclang_rt.fuzzer-* \
    /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*
  need python3 'Python 3, as /usr/bin/python3, for bench/run' exists /usr/bin/python3
  need wrk 'wrk, for bench/run' have wrk
  need nginx 'nginx, for the specs of HTTP/2' exists /usr/sbin/nginx
  need openssl "openssl, for the specs' certificates" have openssl
  need fiu-utils "libfiu's fiu-run, which makes malloc fail" have fiu-run
elif [ $# -gt 0 ]; then
  echo "usage: scripts/setup.sh [--dev]" >&2
  exit 2
fi

# llhttp: the library, or its sources as cmake/llhttp.cmake looks for them.
llhttp_header() { exists /usr/include/llhttp.h /usr/include/llhttp/llhttp.h /usr/local/include/llhttp.h; }
llhttp_sources=.deps/llhttp/usr/share/llhttp/llhttp.c
llhttp=''
if ! llhttp_header && [ ! -e "$llhttp_sources" ]; then llhttp=missing; fi

[ -n "$missing$llhttp" ] || exit 0

if ! have apt-get; then
  {
    echo "moonloop: this system has no apt-get; please install these, then run this again:"
    printf '%s' "$descriptions"
    [ -z "$llhttp" ] || echo "  llhttp with headers (libllhttp; https://github.com/nodejs/llhttp)"
    [ -z "$missing" ] || echo "On Debian the packages are called:$missing"
  } >&2
  exit 1
fi

if [ "$(id -u)" = 0 ]; then
  as_root() { env DEBIAN_FRONTEND=noninteractive "$@"; }
elif have sudo; then
  as_root() { sudo env DEBIAN_FRONTEND=noninteractive "$@"; }
elif [ -n "$missing" ]; then
  echo "moonloop: packages are missing and there is no sudo; please run this as root first:" >&2
  echo "  apt-get update && apt-get install -y --no-install-recommends$missing" >&2
  exit 1
else
  as_root() {
    echo "moonloop: there is no sudo; please run as root: $*" >&2
    return 1
  }
fi

# The package lists are fetched once, and only when apt does not know a package or has an outdated
# address for it.
updated=''
update_lists() {
  [ -z "$updated" ] || return 1
  echo "moonloop: fetching the package lists"
  as_root apt-get -qq update || return 1
  updated=yes
}
known() { [ -n "$(apt-cache madison "$1" 2>/dev/null)" ]; }

if [ -n "$llhttp" ]; then
  if ! known libllhttp-dev && ! known node-llhttp; then update_lists || exit 1; fi
  if known libllhttp-dev; then
    missing="$missing libllhttp-dev"
    llhttp=''
  fi
fi

if [ -n "$missing" ]; then
  for package in $missing; do
    known "$package" || {
      update_lists || exit 1
      break
    }
  done
  echo "moonloop: installing$missing"
  install() {
    # shellcheck disable=SC2086 # the words of $missing are the packages
    as_root apt-get -qq -o DPkg::Lock::Timeout=120 install -y --no-install-recommends $missing >/dev/null
  }
  install || { update_lists && install; } || {
    echo "moonloop: apt-get could not install:$missing" >&2
    exit 1
  }
fi

# Unpacked, not installed: the package's dependencies would bring Node.js in.
if [ -n "$llhttp" ]; then
  echo "moonloop: unpacking llhttp's sources into .deps/llhttp"
  rm -rf .deps/llhttp.new
  mkdir -p .deps/llhttp.new/package
  download() {
    # As root apt would drop to a user of its own who may not write here, and warn about it.
    (cd .deps/llhttp.new/package && apt-get -qq -o APT::Sandbox::User=root download node-llhttp)
  }
  download || { update_lists && download; } || {
    echo "moonloop: the package node-llhttp could not be downloaded" >&2
    exit 1
  }
  dpkg-deb -x .deps/llhttp.new/package/node-llhttp_*.deb .deps/llhttp.new
  [ -e .deps/llhttp.new/usr/share/llhttp/llhttp.c ] || {
    echo "moonloop: the package node-llhttp holds no C sources; please install libllhttp" >&2
    exit 1
  }
  rm -rf .deps/llhttp.new/package .deps/llhttp.new/usr/share/nodejs .deps/llhttp
  mv .deps/llhttp.new .deps/llhttp
fi
