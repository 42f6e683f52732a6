#include "base/redact.h"

#include "base/secret_name.h"

bool redact_query(Buffer *out, const char *query, size_t n) {
  static const char instead[] = "REDACTED";
  for (const char *end = query + n; query < end;) {
    const char *next = memchr(query, '&', (size_t)(end - query));
    const char *to = next ? next : end, *equals = memchr(query, '=', (size_t)(to - query));
    bool hides = equals && secret_name_is_in_query(query, (size_t)(equals - query));
    const char *shown = hides ? equals + 1 : to;
    if (!buffer_add(out, query, (size_t)(shown - query)) ||
        (hides && !buffer_add(out, instead, sizeof instead - 1)) ||
        (next && !buffer_add_char(out, '&')))
      return false;
    query = to + 1;
  }
  return true;
}

bool redact_url(Buffer *out, const char *url, size_t n) {
  const char *end = url + n, *fragment = memchr(url, '#', n);
  if (fragment) end = fragment;
  const char *query = memchr(url, '?', (size_t)(end - url)), *path_end = query ? query : end;
  const char *host = memmem(url, (size_t)(path_end - url), "://", 3);
  host = host ? host + 3 : url;
  const char *slash = memchr(host, '/', (size_t)(path_end - host));
  const char *at = memrchr(host, '@', (size_t)((slash ? slash : path_end) - host));
  return buffer_add(out, url, (size_t)(host - url)) &&
         buffer_add(out, at ? at + 1 : host, (size_t)(path_end - (at ? at + 1 : host))) &&
         (!query ||
          (buffer_add_char(out, '?') && redact_query(out, query + 1, (size_t)(end - query - 1))));
}
