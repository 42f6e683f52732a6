/* The first line of the input are patterns, separated by spaces, those of fallbacks with a '!',
   those of mounts with a '='; the second is a path. Whatever is found must lie within the path, and
   be found again. */
#include "http/server/http_router.h"

#include "base/url.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const uint8_t *line_end = memchr(data, '\n', size);
  if (!line_end) return 0;
  HttpRouter *router = http_router_new();
  size_t n = (size_t)(line_end - data);
  char *patterns = malloc(n + 1), *save = NULL, error[64];
  memcpy(patterns, data, n);
  patterns[n] = 0;
  int method = 0;
  for (char *p = strtok_r(patterns, " ", &save); p; p = strtok_r(NULL, " ", &save))
    if (*p == '!')
      http_router_add_fallback(router, p + 1, error, sizeof error);
    else if (*p == '=')
      http_router_add_mount(router, p + 1, error, sizeof error);
    else
      http_router_add(router, (RouteMethod)(method++ % ROUTE_METHODS), p, error, sizeof error);

  size_t path_len = size - n - 1;
  char *path = malloc(path_len ? path_len : 1); /* exactly as long, so that ASan sees more */
  memcpy(path, line_end + 1, path_len);
  if (url_percent_ok(path, path_len)) {
    bool escaped = memchr(path, '%', path_len) != NULL;
    for (int m = 0; m <= ROUTE_METHODS; m++) {
      RouteMatch match, again;
      char allow[80];
      http_router_find(router, (RouteMethod)m, path, path_len, escaped, &match);
      http_router_find(router, (RouteMethod)m, path, path_len, escaped, &again);
      if (match.route != again.route || match.allowed != again.allowed) abort();
      http_router_allow(match.allowed, allow);
      for (unsigned i = 0; match.route && i < match.route->n_params; i++)
        if ((size_t)match.captures[i].at + match.captures[i].len > path_len) abort();
    }
  }
  free(path);
  free(patterns);
  http_router_free(router);
  return 0;
}
