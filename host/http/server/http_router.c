/* Routes: their patterns become a tree. */
#include "http/server/http_router_tree.h"

#include "base/hash.h"
#include "base/hex.h"
#include "core/task_label.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static const char *const method_names[ROUTE_METHODS] = {"GET",    "POST", "PUT",     "PATCH",
                                                        "DELETE", "HEAD", "OPTIONS", "ANY"};

/* So that ids of other processes, and of other servers in this one, differ. */
static void begin_ids(HttpRouter *router) {
  unsigned char random[ROUTER_ID_BYTES];
  if (uv_random(NULL, NULL, random, sizeof random, 0, NULL) != 0) {
    uint64_t now = hash_mix(uv_hrtime() ^ (uint64_t)uv_os_getpid() << 40);
    memcpy(random, &now, sizeof random);
  }
  *hex_put(router->ids, random, sizeof random) = '-';
}

HttpRouter *http_router_new(void) {
  HttpRouter *router = calloc(1, sizeof *router);
  if (router) begin_ids(router);
  return router;
}

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
  task_label_drop(route->label);
  free(route->site);
  free(route);
}

void http_router_free(HttpRouter *router) {
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

RouteMethod http_router_method(const char *name) {
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

/* Is the text a parameter or wildcard in another framework's notation? Then it is hardly meant as
   text. */
static bool check_text(Compile *c, const char *text, size_t n) {
  bool in_brackets =
      n > 2 && ((text[0] == '<' && text[n - 1] == '>') || (text[0] == '[' && text[n - 1] == ']'));
  if (in_brackets || (n > 1 && text[0] == ':'))
    return fail(c, "'%.*s' in '%s': a parameter is written {%.*s}", (int)n, text, c->pattern,
                (int)n - 1 - in_brackets, text + 1);
  if (n && text[0] == '*')
    return fail(c, "'%.*s' in '%s': the rest of a path is written {path:path}", (int)n, text,
                c->pattern);
  return true;
}

/* Walks the pattern down the tree, adding missing nodes. NULL: the error is set. */
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
      if (!check_text(c, segment, n)) return NULL;
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

/* Names the route and adds it to the router's list. */
static bool keep_route(Compile *c, const char *method) {
  Route *route = c->route;
  size_t size = strlen(method) + 1 + strlen(c->pattern) + 1;
  route->name = malloc(size);
  if (!route->name) return fail(c, "out of memory");
  snprintf(route->name, size, "%s %s", method, c->pattern);
  route->label = task_label_new_counted(route->name, c->router->ids);
  if (!route->label) return fail(c, "out of memory");
  if (*method != '(') {
    route->template = route->name + strlen(method) + 1;
    route->template_hash = hash_bytes(HASH_START, route->template, strlen(route->template));
  }
  route->next = c->router->routes;
  c->router->routes = route;
  return true;
}

Route *http_router_add(HttpRouter *router, RouteMethod method, const char *pattern, char *error,
                       size_t error_size) {
  Compile c = {router, calloc(1, sizeof(Route)), pattern, error, error_size};
  Route *route = c.route;
  if (!route) {
    fail(&c, "out of memory");
    return NULL;
  }
  Node *node = compile(&c);
  if (node && node->routes[method]) {
    const Route *other = node->routes[method];
    fail(&c, "the route %s %s already exists as %s%s%s", method_names[method], pattern, other->name,
         other->site ? ", added at " : "", other->site ? other->site : "");
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

Route *http_router_add_fallback(HttpRouter *router, const char *prefix, char *error,
                                size_t error_size) {
  Compile c = {router, calloc(1, sizeof(Route)), prefix, error, error_size};
  if (!c.route) {
    fail(&c, "out of memory");
    return NULL;
  }
  Node *node = *prefix ? compile(&c) : &router->root;
  if (node && node->fallback) {
    fail(&c, "the prefix '%s' already has a fallback", prefix);
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

bool http_router_add_mount(HttpRouter *router, const char *prefix, char *error, size_t error_size) {
  Route scratch = {0}; /* of the prefix's parameters, which each of its routes repeats */
  Compile c = {router, &scratch, prefix, error, error_size};
  Node *node = *prefix ? compile(&c) : &router->root;
  for (unsigned i = 0; i < scratch.n_params; i++) free(scratch.params[i].name);
  if (node) node->is_mount = true;
  return node != NULL;
}

const Route *http_router_routes(const HttpRouter *router) { return router->routes; }

void http_router_allow(unsigned allowed, char *out) {
  if (allowed & 1u << ROUTE_GET) allowed |= 1u << ROUTE_HEAD;
  *out = 0;
  for (int i = 0; i < ROUTE_ANY; i++) {
    if (!(allowed & 1u << i)) continue;
    if (*out) strcat(out, ", ");
    strcat(out, method_names[i]);
  }
}
