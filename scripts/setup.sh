#!/bin/sh
# Installs what moonloop needs and this machine lacks, with apt (through sudo when not root), and
# puts into .deps llhttp's sources, where the distribution has no library of it, and the pages that
# show OpenAPI documents, which are packages of npm (MOONLOOP_DOCS=OFF leaves them out). Quick, silent
# and without network when nothing is missing.
#
#   scripts/setup.sh          what building and running need
#   scripts/setup.sh --test   also what the tests need: busted, and C modules of others to try
#   scripts/setup.sh --dev    also what .ci/run needs: luacheck, clang-format, clang's fuzzer, fiu-run,
#                             nginx, openssl, PostgreSQL and pgbouncer for specs of the clients, and
#                             what bench/run needs beside its peers: Python, wrk
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
need binutils 'objcopy (binutils)' have objcopy
need make 'make' have make
need cmake 'CMake 3.21 or later' have cmake
need pkg-config 'pkg-config' have pkg-config
need liblua5.4-dev 'Lua 5.4 with headers and static library' library lua5.4
need libuv1-dev 'libuv with headers and static library' library libuv
need libedit-dev 'libedit with headers' library libedit
need zlib1g-dev 'zlib with headers' library zlib
need libbrotli-dev 'brotli with headers' library libbrotlienc
need libsodium-dev 'libsodium with headers' library libsodium
need libpq-dev 'libpq with headers' library libpq
need libsqlite3-dev 'SQLite 3 with headers' library sqlite3
need libpcre2-dev 'PCRE2 with headers' library libpcre2-8
need libssl-dev 'OpenSSL 3 with headers' library 'libssl >= 3'
need libnghttp2-dev 'nghttp2 with headers' library libnghttp2
need libidn2-0 'libidn2, for hosts of URLs that are not ASCII' exists /usr/lib/*/libidn2.so.0 /usr/lib/libidn2.so.0
need libpsl5 'libpsl, for the cookies of the HTTP client' exists /usr/lib/*/libpsl.so.5 /usr/lib/libpsl.so.5
need publicsuffix 'its list of public suffixes' exists /usr/share/publicsuffix/public_suffix_list.dafsa
need lua-cjson 'lua-cjson for Lua 5.4' lua_module cjson
need ca-certificates 'the certificates of the public authorities' \
  exists /etc/ssl/certs/ca-certificates.crt /etc/ssl/cert.pem /etc/pki/tls/certs/ca-bundle.crt
need curl 'curl' have curl
case ${1:-} in
'') ;;
--test | --dev)
  need lua-busted 'busted for Lua 5.4' lua_module busted
  need lua-filesystem 'luafilesystem for Lua 5.4' lua_module lfs
  need lua-rex-pcre2 'lrexlib-pcre2 for Lua 5.4' lua_module rex_pcre2
  need lua-lpeg 'LPeg for Lua 5.4' lua_module lpeg
  need lua-socket 'LuaSocket for Lua 5.4' lua_module socket/core
  need lua-sql-sqlite3 'LuaSQL for SQLite 3 and Lua 5.4' lua_module luasql/sqlite3
  need lua-luaossl 'luaossl for Lua 5.4' lua_module _openssl
  need lua-zlib 'lua-zlib for Lua 5.4' lua_module zlib
  need lua-expat 'LuaExpat for Lua 5.4' lua_module lxp
  need redis-server 'redis-server, for the specs of the Redis client' have redis-server
  need lua-yaml 'lyaml for Lua 5.4' lua_module lyaml
  ;;
*)
  echo "usage: scripts/setup.sh [--test | --dev]" >&2
  exit 2
  ;;
esac
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
  need prometheus 'Prometheus and its promtool, for the specs of metrics' have promtool
  need nghttp2-client "nghttp2's h2load, for bench/run" have h2load
  need valgrind 'valgrind, for specs that count instructions' have valgrind
  need haproxy 'HAProxy, for the specs of servers behind it' exists /usr/sbin/haproxy
  need postgresql-15 'PostgreSQL 15, for the specs of the SQL client' \
    exists /usr/lib/postgresql/15/bin/postgres
  need pgbouncer 'pgbouncer, for the specs of the SQL client' exists /usr/sbin/pgbouncer
  need python3-jwt "PyJWT for /usr/bin/python3, for the specs of tokens" \
    exists /usr/lib/python3/dist-packages/jwt/__init__.py
  need python3-cryptography "cryptography for /usr/bin/python3, which PyJWT uses" \
    exists /usr/lib/python3/dist-packages/cryptography/__init__.py
  need nodejs 'Node.js 20, for the specs of OpenAPI documents' have node
  need npm 'npm, for the same' have npm
  need chromium 'Chromium, for the specs of their pages' have chromium
  need openssl "openssl, for the specs' certificates" have openssl
  need sslscan 'sslscan, for a spec of servers with TLS' have sslscan
  need scdoc 'scdoc, for the manual page' have scdoc
  need lintian 'lintian, which reads the Debian packages' have lintian
  need fish 'fish, for the specs of completions' have fish
  need zsh 'zsh, for the same' have zsh
  need systemd 'systemd-analyze, for the spec of the unit' have systemd-analyze
  need mkdocs-material "mkdocs-material, for the documentation's site" exists /usr/share/mkdocs/themes/material
  need fiu-utils "libfiu's fiu-run, which makes malloc fail" have fiu-run
fi

# llhttp: the library, or its sources as cmake/llhttp.cmake looks for them.
llhttp_header() { exists /usr/include/llhttp.h /usr/include/llhttp/llhttp.h /usr/local/include/llhttp.h; }
llhttp_sources=.deps/llhttp/usr/share/llhttp/llhttp.c
llhttp=''
if ! llhttp_header && [ ! -e "$llhttp_sources" ]; then llhttp=missing; fi

# The pages that show OpenAPI documents: packages of npm, and the SHA-512 of what is downloaded.
swagger_ui=swagger-ui-dist@5.35.0
swagger_ui_hash=534eaba4cb56f55dd73c638179a993512af4674f63317e0826e00da44fc465b021c341bc0a0c2bcd4e18997927fe1d3008336c5dd19aad334d1c2dec53cc9551
redoc=redoc@2.5.4
redoc_hash=33a8d6846d6aa019c7e93166cc99ecb72099f3b1e6398fd4cc39bbf261e262284476557f61c4bda203a8d4d94496724c78bb32c4715edb215ce2c3631d3ac005
pages=''
if [ "${MOONLOOP_DOCS:-ON}" != OFF ] &&
  [ "$(cat .deps/pages/versions 2>/dev/null)" != "$swagger_ui $redoc" ]; then
  pages=missing
  need npm 'npm, for the pages /docs and /redoc (MOONLOOP_DOCS=OFF builds without them)' have npm
fi

# What specs need of npm, at the versions of the lock file.
npm='' npm_lock=spec/support/npm/package-lock.json
if [ "${1:-}" = --dev ] && ! cmp -s "$npm_lock" .deps/npm/package-lock.json; then npm=missing; fi

[ -n "$missing$llhttp$pages$npm" ] || exit 0

if [ -n "$missing$llhttp" ] && ! have apt-get; then
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

# fetch_package NAME@VERSION HASH FILE...: puts these files of it into .deps/pages.new/NAME
fetch_package() {
  package=$1 hash=$2 file=.deps/pages.new/package.tgz
  shift 2
  npm pack "$package" --loglevel=error --pack-destination .deps/pages.new >/dev/null || {
    {
      echo "moonloop: $package could not be downloaded from npm's registry. It is for the pages /docs and"
      echo "/redoc; MOONLOOP_DOCS=OFF scripts/build.sh builds without them"
    } >&2
    exit 1
  }
  mv ".deps/pages.new/${package%@*}-${package##*@}.tgz" "$file"
  echo "$hash  $file" | sha512sum --check --status || {
    echo "moonloop: what was downloaded as $package is not what it should be (SHA-512)" >&2
    exit 1
  }
  mkdir -p ".deps/pages.new/${package%@*}"
  tar -xzf "$file" -C ".deps/pages.new/${package%@*}" --strip-components=1 "$@"
  rm "$file"
}

if [ -n "$pages" ]; then
  echo "moonloop: fetching $swagger_ui and $redoc into .deps/pages"
  rm -rf .deps/pages.new
  mkdir -p .deps/pages.new
  fetch_package "$swagger_ui" "$swagger_ui_hash" package/LICENSE package/NOTICE package/swagger-ui.css \
    package/swagger-ui-bundle.js package/swagger-ui-bundle.js.LICENSE.txt
  fetch_package "$redoc" "$redoc_hash" package/LICENSE package/bundles/redoc.standalone.js \
    package/bundles/redoc.standalone.js.LICENSE.txt
  # Its picture of Redocly's is elsewhere: the page asks for nothing from others.
  sed -i 's|https://cdn.redoc.ly/redoc/logo-mini.svg|data:,|' .deps/pages.new/redoc/bundles/redoc.standalone.js
  echo "$swagger_ui $redoc" >.deps/pages.new/versions
  rm -rf .deps/pages
  mv .deps/pages.new .deps/pages
fi

if [ -n "$npm" ]; then
  echo "moonloop: installing what specs need of npm into .deps/npm"
  rm -rf .deps/npm
  mkdir -p .deps/npm.new
  cp spec/support/npm/package.json "$npm_lock" .deps/npm.new
  (cd .deps/npm.new && npm ci --ignore-scripts --no-audit --no-fund --silent) || {
    echo "moonloop: npm ci failed in .deps/npm.new" >&2
    exit 1
  }
  mv .deps/npm.new .deps/npm
fi
