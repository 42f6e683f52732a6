--- The libraries that are not linked in: what the program needs to start, and what it loads when it is first
-- needed.
return {
  always = { "libc.so.6", "libm.so.6" },
  when_needed = {
    { file = "libssl.so.3", package = "libssl3", what = "TLS: https, of the server and the client" },
    { file = "libcrypto.so.3", package = "libssl3", what = "tokens with keys of RSA and ECDSA" },
    { file = "libnghttp2.so.14", package = "libnghttp2-14", what = "HTTP/2" },
    { file = "libpq.so.5", package = "libpq5", what = "PostgreSQL" },
    { file = "libsqlite3.so.0", package = "libsqlite3-0", what = "SQLite" },
    { file = "libpcre2-8.so.0", package = "libpcre2-8-0", what = "patterns of schemas" },
    { file = "libidn2.so.0", package = "libidn2-0", what = "hosts of URLs that are not ASCII" },
    { file = "libpsl.so.5", package = "libpsl5", what = "cookies of the client with a domain" },
  },
}
