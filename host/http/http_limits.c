#include "http/http_limits.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define ROW(field, unit, fallback, least, most, help)                                              \
  { #field, unit, help, fallback, least, most, offsetof(HttpLimits, field) }
#define MIB (1024.0 * 1024)
#define SHORTEST 1e-3 /* seconds */

const HttpLimit http_limits[HTTP_LIMITS] = {
    ROW(max_request_line, "bytes", 8192, 64, MIB, "longer request lines are a 414"),
    ROW(max_header_bytes, "bytes", 32768, 256, 16 * MIB, "larger heads of requests are a 431"),
    ROW(max_headers, "lines", 100, 1, 10000, "heads with more headers are a 431"),
    ROW(max_body, "bytes", 10 * MIB, 0, INFINITY,
        "larger bodies are a 413; routes may have their own"),
    ROW(handshake_timeout, "seconds", 10, SHORTEST, INFINITY, "for the handshake of TLS"),
    ROW(header_timeout, "seconds", 30, SHORTEST, INFINITY, "for a whole head, from its first byte"),
    ROW(body_timeout, "seconds", 30, SHORTEST, INFINITY, "the longest pause in a body"),
    ROW(body_total, "seconds", 300, SHORTEST, INFINITY, "for a whole body"),
    ROW(body_rate, "bytes per second", 500, 0, 1e9, "slower bodies are cut off; 0: no such limit"),
    ROW(keep_alive, "seconds", 75, SHORTEST, INFINITY, "between two requests of a connection"),
    ROW(write_timeout, "seconds", 30, SHORTEST, INFINITY,
        "the longest pause of a client that takes a response"),
    ROW(write_rate, "bytes per second", 500, 0, 1e9,
        "slower clients are disconnected; 0: no such limit"),
    ROW(max_connections, "connections", 16384, 1, 1e6,
        "those silent for longest are closed for new clients"),
    ROW(max_per_ip, "connections", INFINITY, 1, INFINITY, "of one client address; more are closed"),
    ROW(max_buffered, "bytes", 256 * MIB, 0, INFINITY,
        "kept of all bodies and responses; more is a 503"),
    ROW(max_values, "values", 1e6, 1, INFINITY, "in a body of JSON; more are a 400"),
    ROW(read_ahead, "bytes", 65536, 0, 64 * MIB, "of requests that follow the running one"),
    ROW(drain, "seconds", 10, 0, INFINITY, "for running requests when the server stops"),
};

static bool is_time(const HttpLimit *limit) { return !strcmp(limit->unit, "seconds"); }

void http_limits_default(HttpLimits *limits) {
  for (int i = 0; i < HTTP_LIMITS; i++)
    http_limits_set(limits, &http_limits[i], http_limits[i].fallback);
}

const HttpLimit *http_limits_find(const char *name, size_t n) {
  for (int i = 0; i < HTTP_LIMITS; i++) {
    const char *own = http_limits[i].name;
    size_t at = 0;
    while (at < n && own[at] && (name[at] == own[at] || (name[at] == '-' && own[at] == '_'))) at++;
    if (at == n && !own[at]) return &http_limits[i];
  }
  return NULL;
}

bool http_limits_set(HttpLimits *limits, const HttpLimit *limit, double value) {
  bool time = is_time(limit);
  if (!(value >= limit->least && value <= limit->most) ||
      (!time && value < INFINITY && value != floor(value)))
    return false;
  if (time) value *= 1000;
  uint64_t *field = (uint64_t *)(void *)((char *)limits + limit->offset);
  *field = value < 0x1p53 ? (uint64_t)value : HTTP_NO_LIMIT;
  return true;
}

void http_limits_describe(const HttpLimit *limit, char *out, size_t size) {
  const char *whole = is_time(limit) ? "" : "whole ";
  if (limit->most == INFINITY)
    snprintf(out, size, "a %snumber of %s, at least %.15g", whole, limit->unit, limit->least);
  else
    snprintf(out, size, "a %snumber of %s from %.15g to %.15g", whole, limit->unit, limit->least,
             limit->most);
}
