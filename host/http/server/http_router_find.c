/* Finds the route of a request in the tree, in the order given in http_router.h. */
#include "http/server/http_router_tree.h"

#include "base/url.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Search {
  RouteMethod method;
  const char *path, *end;
  bool escaped;
  bool for_fallback; /* no route was found */
  bool is_mounted;   /* nor is there one in the application that owns the path */
  RouteMatch *match;
  const char *prefix_end; /* the best fallback so far, or NULL */
  RouteCapture captures[ROUTER_MAX_PARAMS];
} Search;

/* A node where the path ends: does it have a route for the method? */
static bool take(RouteMatch *match, RouteMethod method, const Node *node) {
  Route *const *routes = node->routes;
  const Route *route = method < ROUTE_ANY ? routes[method] : NULL;
  if (!route && method == ROUTE_HEAD) route = routes[ROUTE_GET];
  if (!route) route = routes[ROUTE_ANY];
  if (route) {
    match->route = route;
    return true;
  }
  for (int i = 0; i < ROUTE_ANY; i++)
    if (routes[i]) match->allowed |= 1u << i;
  return false;
}

/* -?[0-9]+ within 64 bits */
static bool is_int(const char *text, size_t n) {
  size_t i = n && text[0] == '-';
  if (i == n || n > 20) return false;
  uint64_t value = 0, limit = (uint64_t)INT64_MAX + (i ? 1 : 0);
  for (; i < n; i++) {
    if (text[i] < '0' || text[i] > '9') return false;
    uint64_t digit = (uint64_t)(text[i] - '0');
    if (value > (limit - digit) / 10) return false;
    value = value * 10 + digit;
  }
  return true;
}

/* -?digits[.digits][e[+-]digits], and finite: JSON, which handlers answer in, has no infinity */
static bool is_number(const char *text, size_t n) {
  const char *p = text, *end = text + n;
  if (p < end && *p == '-') p++;
  const char *digits = p;
  while (p < end && *p >= '0' && *p <= '9') p++;
  if (p == digits) return false;
  if (p < end && *p == '.') {
    digits = ++p;
    while (p < end && *p >= '0' && *p <= '9') p++;
    if (p == digits) return false;
  }
  if (p < end && (*p | 0x20) == 'e') {
    p++;
    if (p < end && (*p == '-' || *p == '+')) p++;
    digits = p;
    while (p < end && *p >= '0' && *p <= '9') p++;
    if (p == digits) return false;
  }
  char number[64];
  if (p != end || n >= sizeof number) return false;
  memcpy(number, text, n);
  number[n] = '\0';
  return isfinite(strtod(number, NULL));
}

static bool search(Search *s, const Node *node, const char *at, unsigned n_captures);

static bool search_param(Search *s, const Node *child, const char *segment, const char *segment_end,
                         unsigned n_captures) {
  if (!child || s->is_mounted || n_captures == ROUTER_MAX_PARAMS) return false;
  s->match->captures[n_captures] =
      (RouteCapture){(uint32_t)(segment - s->path), (uint32_t)(segment_end - segment)};
  return search(s, child, segment_end, n_captures + 1);
}

/* The longest prefix provides the fallback. */
static void note_fallback(Search *s, const Node *node, const char *at, unsigned n_captures) {
  if (!node->fallback || (s->prefix_end && s->prefix_end >= at)) return;
  s->prefix_end = at;
  s->match->route = node->fallback;
  memcpy(s->captures, s->match->captures, n_captures * sizeof *s->captures);
}

static bool search_below(Search *s, const Node *node, const char *at, unsigned n_captures) {
  if (at == s->end) return take(s->match, s->method, node);
  const char *segment = at + 1;
  const char *slash = memchr(segment, '/', (size_t)(s->end - segment));
  const char *segment_end = slash ? slash : s->end;
  const char *text = segment;
  size_t n = (size_t)(segment_end - segment);
  char decoded[256];
  bool fits = true;
  if (s->escaped && memchr(segment, '%', n)) {
    /* Only text and numbers are compared, and no segment of a pattern is that long. */
    fits = n <= sizeof decoded;
    if (fits) {
      n = (size_t)url_decode(decoded, segment, n, false);
      text = decoded;
    }
  }
  if (fits) {
    const Node *child = text_child(node, text, n);
    if (child && search(s, child, segment_end, n_captures)) return true;
  }
  if (n) { /* a parameter is never empty */
    if (fits && node->params[PARAM_INT] && is_int(text, n) &&
        search_param(s, node->params[PARAM_INT], segment, segment_end, n_captures))
      return true;
    if (fits && node->params[PARAM_NUMBER] && is_number(text, n) &&
        search_param(s, node->params[PARAM_NUMBER], segment, segment_end, n_captures))
      return true;
    if (search_param(s, node->params[PARAM_TEXT], segment, segment_end, n_captures)) return true;
  }
  return search_param(s, node->params[PARAM_PATH], segment, s->end, n_captures);
}

/* `at` is at a '/' or at the end. */
static bool search(Search *s, const Node *node, const char *at, unsigned n_captures) {
  if (s->for_fallback) note_fallback(s, node, at, n_captures);
  if (search_below(s, node, at, n_captures)) return true;
  if (node->is_mount) s->is_mounted = true;
  return false;
}

/* Searches the tree. Kept out of the way of paths without parameters, for its locals. */
__attribute__((noinline)) static void find_in_tree(const HttpRouter *router, RouteMethod method,
                                                   const char *path, size_t n, bool escaped,
                                                   RouteMatch *match) {
  Search s;
  s.method = method;
  s.path = path;
  s.end = path + n;
  s.escaped = escaped;
  s.for_fallback = s.is_mounted = false;
  s.match = match;
  if (search(&s, &router->root, path, 0) || !router->has_fallbacks) return;
  s.for_fallback = true;
  s.is_mounted = false;
  s.prefix_end = NULL;
  search(&s, &router->root, path, 0);
  if (match->route)
    memcpy(match->captures, s.captures, match->route->n_params * sizeof *s.captures);
}

void http_router_find(const HttpRouter *router, RouteMethod method, const char *path, size_t n,
                      bool escaped, RouteMatch *match) {
  match->route = NULL;
  match->allowed = 0;
  if (!n || path[0] != '/') return;
  if (!escaped) {
    const StaticPath *found = find_static(router, path, n);
    if (found && take(match, method, found->node)) return;
  }
  find_in_tree(router, method, path, n, escaped, match);
}
