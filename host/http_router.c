#include "http_router.h"

#include "url.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A place in the tree: what has been matched so far ends here. */
typedef struct Node {
  struct Node *next;  /* the next text segment of the same parent */
  struct Node *texts; /* children that are text, first letter to last */
  struct Node *params[PARAM_KINDS];
  Route *routes[ROUTE_METHODS];
  Route *fallback; /* for what has no route from here on, or NULL */
  char *text;
  size_t text_len;
} Node;

/* A pattern without parameters, found by one lookup. */
typedef struct StaticPath {
  struct StaticPath *next;
  Node *node;
  uint32_t hash;
  size_t len;
  char path[];
} StaticPath;

enum { STATIC_BUCKETS = 256 };

struct HttpRouter {
  Node root; /* before the first '/' */
  StaticPath *statics[STATIC_BUCKETS];
  Route *routes;
  bool has_fallbacks;
};

static const char *const method_names[ROUTE_METHODS] = {"GET",    "POST", "PUT",     "PATCH",
                                                        "DELETE", "HEAD", "OPTIONS", "ANY"};

HttpRouter *router_new(void) { return calloc(1, sizeof(HttpRouter)); }

static void free_node_content(Node *node);

static void free_node(Node *node) {
  if (!node) return;
  free_node_content(node);
  free(node->text);
  free(node);
}

static void free_node_content(Node *node) {
  while (node->texts) {
    Node *child = node->texts;
    node->texts = child->next;
    free_node(child);
  }
  for (int i = 0; i < PARAM_KINDS; i++) free_node(node->params[i]);
}

static void free_route(Route *route) {
  for (unsigned i = 0; i < route->n_params; i++) free(route->params[i].name);
  free(route->name);
  free(route);
}

void router_free(HttpRouter *router) {
  if (!router) return;
  free_node_content(&router->root);
  for (int i = 0; i < STATIC_BUCKETS; i++)
    while (router->statics[i]) {
      StaticPath *s = router->statics[i];
      router->statics[i] = s->next;
      free(s);
    }
  while (router->routes) {
    Route *route = router->routes;
    router->routes = route->next;
    free_route(route);
  }
  free(router);
}

RouteMethod router_method(const char *name) {
  int i = 0;
  while (i < ROUTE_METHODS && strcmp(method_names[i], name)) i++;
  return (RouteMethod)i;
}

/* --- registration --- */

typedef struct Compile {
  HttpRouter *router;
  Route *route;
  const char *pattern;
  char *error;
  size_t error_size;
} Compile;

static bool fail(Compile *c, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(c->error, c->error_size, format, args);
  va_end(args);
  return false;
}

static char *copy_text(const char *text, size_t n) {
  char *copy = malloc(n + 1);
  if (!copy) return NULL;
  memcpy(copy, text, n);
  copy[n] = 0;
  return copy;
}

static bool name_ok(const char *name, size_t n) {
  for (size_t i = 0; i < n; i++) {
    char c = name[i];
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (!letter && (i == 0 || c < '0' || c > '9')) return false;
  }
  return n > 0;
}

/* `{name:kind}` without its braces. */
static bool add_param(Compile *c, const char *text, size_t n, bool last, ParamKind *kind) {
  static const char *const kinds[] = {"int", "number", "", "path"};
  const char *colon = memchr(text, ':', n);
  size_t name_len = colon ? (size_t)(colon - text) : n;
  const char *type = colon ? colon + 1 : "";
  size_t type_len = colon ? n - name_len - 1 : 0;
  if (!name_ok(text, name_len))
    return fail(c, "'{%.*s}' in '%s': a parameter's name is letters, digits and '_'", (int)n, text,
                c->pattern);
  int k = colon && !type_len ? PARAM_KINDS : 0;
  while (k < PARAM_KINDS && (strlen(kinds[k]) != type_len || memcmp(kinds[k], type, type_len))) k++;
  if (k == PARAM_KINDS)
    return fail(c, "'{%.*s}' in '%s': the type is int, number or path", (int)n, text, c->pattern);
  if (k == PARAM_PATH && !last)
    return fail(c, "'{%.*s}' in '%s': a path parameter must be the last segment", (int)n, text,
                c->pattern);
  Route *route = c->route;
  if (route->n_params == ROUTER_MAX_PARAMS)
    return fail(c, "'%s' has more than %d parameters", c->pattern, ROUTER_MAX_PARAMS);
  for (unsigned i = 0; i < route->n_params; i++)
    if (strlen(route->params[i].name) == name_len && !memcmp(route->params[i].name, text, name_len))
      return fail(c, "'%s' has two parameters named '%.*s'", c->pattern, (int)name_len, text);
  char *name = copy_text(text, name_len);
  if (!name) return fail(c, "out of memory");
  route->params[route->n_params++] = (RouteParam){name, (ParamKind)k};
  *kind = (ParamKind)k;
  return true;
}

static Node *text_child(const Node *node, const char *text, size_t n) {
  for (Node *child = node->texts; child; child = child->next)
    if (child->text_len == n && !memcmp(child->text, text, n)) return child;
  return NULL;
}

static Node *add_text_child(Node *node, const char *text, size_t n) {
  Node *child = text_child(node, text, n);
  if (child) return child;
  child = calloc(1, sizeof *child);
  if (!child) return NULL;
  child->text = copy_text(text, n);
  if (!child->text) {
    free(child);
    return NULL;
  }
  child->text_len = n;
  child->next = node->texts;
  node->texts = child;
  return child;
}

/* Walks the pattern down the tree, making what is not there. NULL: the error is set. */
static Node *compile(Compile *c) {
  Node *node = &c->router->root;
  const char *p = c->pattern;
  if (*p != '/') {
    fail(c, "'%s': a path starts with '/'", c->pattern);
    return NULL;
  }
  while (*p == '/') {
    const char *segment = ++p;
    size_t n = strcspn(segment, "/");
    p += n;
    if (!memchr(segment, '{', n) && !memchr(segment, '}', n)) {
      node = add_text_child(node, segment, n);
    } else if (n > 2 && segment[0] == '{' && segment[n - 1] == '}') {
      ParamKind kind = PARAM_TEXT;
      if (!add_param(c, segment + 1, n - 2, !*p, &kind)) return NULL;
      if (!node->params[kind]) node->params[kind] = calloc(1, sizeof *node);
      node = node->params[kind];
    } else {
      fail(c, "'%.*s' in '%s': a parameter is a whole segment, as in /users/{id}", (int)n, segment,
           c->pattern);
      return NULL;
    }
    if (!node) {
      fail(c, "out of memory");
      return NULL;
    }
  }
  return node;
}

/* Eight bytes a step; the application's own paths are few, and nobody else adds any. */
static uint32_t hash_path(const char *path, size_t n) {
  uint64_t h = n, word;
  for (; n >= sizeof word; path += sizeof word, n -= sizeof word) {
    memcpy(&word, path, sizeof word);
    h = (h ^ word) * 0x9e3779b97f4a7c15u;
    h ^= h >> 32;
  }
  word = 0;
  memcpy(&word, path, n);
  h = (h ^ word) * 0x9e3779b97f4a7c15u;
  return (uint32_t)(h >> 32);
}

static const StaticPath *find_static(const HttpRouter *router, const char *path, size_t n) {
  uint32_t hash = hash_path(path, n);
  const StaticPath *s = router->statics[hash % STATIC_BUCKETS];
  while (s && (s->hash != hash || s->len != n || memcmp(s->path, path, n))) s = s->next;
  return s;
}

static bool add_static(HttpRouter *router, const char *path, Node *node) {
  size_t n = strlen(path);
  if (find_static(router, path, n)) return true;
  StaticPath *s = malloc(sizeof *s + n);
  if (!s) return false;
  s->node = node;
  s->hash = hash_path(path, n);
  s->len = n;
  memcpy(s->path, path, n);
  StaticPath **bucket = &router->statics[s->hash % STATIC_BUCKETS];
  s->next = *bucket;
  *bucket = s;
  return true;
}

/* Names the route and takes it into the router's list. */
static bool keep_route(Compile *c, const char *method) {
  Route *route = c->route;
  size_t size = strlen(method) + 1 + strlen(c->pattern) + 1;
  route->name = malloc(size);
  if (!route->name) return fail(c, "out of memory");
  snprintf(route->name, size, "%s %s", method, c->pattern);
  route->next = c->router->routes;
  c->router->routes = route;
  return true;
}

Route *router_add(HttpRouter *router, RouteMethod method, const char *pattern, char *error,
                  size_t error_size) {
  Compile c = {router, calloc(1, sizeof(Route)), pattern, error, error_size};
  Route *route = c.route;
  if (!route) {
    fail(&c, "out of memory");
    return NULL;
  }
  Node *node = compile(&c);
  if (node && node->routes[method]) {
    fail(&c, "the route %s %s exists already as %s", method_names[method], pattern,
         node->routes[method]->name);
    node = NULL;
  }
  if (node && !route->n_params && !add_static(router, pattern, node)) {
    fail(&c, "out of memory");
    node = NULL;
  }
  if (!node || !keep_route(&c, method_names[method])) {
    free_route(route);
    return NULL;
  }
  node->routes[method] = route;
  return route;
}

Route *router_add_fallback(HttpRouter *router, const char *prefix, char *error, size_t error_size) {
  Compile c = {router, calloc(1, sizeof(Route)), prefix, error, error_size};
  if (!c.route) {
    fail(&c, "out of memory");
    return NULL;
  }
  Node *node = *prefix ? compile(&c) : &router->root;
  if (node && node->fallback) {
    fail(&c, "the prefix '%s' has a fallback already", prefix);
    node = NULL;
  }
  if (!node || !keep_route(&c, "(no route)")) {
    free_route(c.route);
    return NULL;
  }
  node->fallback = c.route;
  router->has_fallbacks = true;
  return c.route;
}

const Route *router_routes(const HttpRouter *router) { return router->routes; }

/* --- finding --- */

typedef struct Search {
  RouteMethod method;
  const char *path, *end;
  bool escaped;
  bool for_fallback; /* no route was found */
  RouteMatch *match;
  const char *prefix_end; /* of the best fallback so far, or NULL */
  RouteCapture captures[ROUTER_MAX_PARAMS];
} Search;

/* A node where the path ends: has it a route for the method? */
static bool take(Search *s, const Node *node) {
  Route *const *routes = node->routes;
  const Route *route = s->method < ROUTE_ANY ? routes[s->method] : NULL;
  if (!route && s->method == ROUTE_HEAD) route = routes[ROUTE_GET];
  if (!route) route = routes[ROUTE_ANY];
  if (route) {
    s->match->route = route;
    return true;
  }
  for (int i = 0; i < ROUTE_ANY; i++)
    if (routes[i]) s->match->allowed |= 1u << i;
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

/* -?digits[.digits][e[+-]digits] */
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
  return p == end && n < 64;
}

static bool search(Search *s, const Node *node, const char *at, unsigned n_captures);

static bool search_param(Search *s, const Node *child, const char *segment, const char *segment_end,
                         unsigned n_captures) {
  if (!child || n_captures == ROUTER_MAX_PARAMS) return false;
  s->match->captures[n_captures] =
      (RouteCapture){(uint32_t)(segment - s->path), (uint32_t)(segment_end - segment)};
  return search(s, child, segment_end, n_captures + 1);
}

/* The longest prefix has the fallback. */
static void note_fallback(Search *s, const Node *node, const char *at, unsigned n_captures) {
  if (!node->fallback || (s->prefix_end && s->prefix_end >= at)) return;
  s->prefix_end = at;
  s->match->route = node->fallback;
  memcpy(s->captures, s->match->captures, n_captures * sizeof *s->captures);
}

/* `at` is at a '/' or at the end. */
static bool search(Search *s, const Node *node, const char *at, unsigned n_captures) {
  if (s->for_fallback) note_fallback(s, node, at, n_captures);
  if (at == s->end) return take(s, node);
  const char *segment = at + 1;
  const char *slash = memchr(segment, '/', (size_t)(s->end - segment));
  const char *segment_end = slash ? slash : s->end;
  const char *text = segment;
  size_t n = (size_t)(segment_end - segment);
  char decoded[256];
  bool fits = true;
  if (s->escaped && memchr(segment, '%', n)) {
    /* Only text and numbers are compared, and no pattern's segment is that long. */
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

void router_find(const HttpRouter *router, RouteMethod method, const char *path, size_t n,
                 bool escaped, RouteMatch *match) {
  match->route = NULL;
  match->allowed = 0;
  if (!n || path[0] != '/') return;
  Search s;
  s.method = method;
  s.path = path;
  s.end = path + n;
  s.escaped = escaped;
  s.for_fallback = false;
  s.match = match;
  if (!escaped) {
    const StaticPath *found = find_static(router, path, n);
    if (found && take(&s, found->node)) return;
  }
  if (search(&s, &router->root, path, 0) || !router->has_fallbacks) return;
  s.for_fallback = true;
  s.prefix_end = NULL;
  search(&s, &router->root, path, 0);
  if (match->route)
    memcpy(match->captures, s.captures, match->route->n_params * sizeof *s.captures);
}

void router_allow(unsigned allowed, char *out) {
  if (allowed & 1u << ROUTE_GET) allowed |= 1u << ROUTE_HEAD;
  *out = 0;
  for (int i = 0; i < ROUTE_ANY; i++) {
    if (!(allowed & 1u << i)) continue;
    if (*out) strcat(out, ", ");
    strcat(out, method_names[i]);
  }
}
