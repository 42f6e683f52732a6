/* The tree of a router, built by http_router.c and searched by http_router_find.c: one level per
   segment of the patterns. */
#ifndef ML_HTTP_ROUTER_TREE_H
#define ML_HTTP_ROUTER_TREE_H

#include "base/word.h"
#include "http/server/http_router.h"

/* A place in the tree: what has been matched so far ends here. */
typedef struct Node {
  struct Node *next;  /* the next text segment of the same parent */
  struct Node *texts; /* children that are text, first letter to last */
  struct Node *params[PARAM_KINDS];
  Route *routes[ROUTE_METHODS];
  Route *fallback; /* for paths without a route below, or NULL */
  bool is_mount;   /* paths without a route below have none at all */
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

enum { STATIC_BUCKETS = 256, ROUTER_ID_BYTES = 6 };

struct HttpRouter {
  Node root; /* before the first '/' */
  StaticPath *statics[STATIC_BUCKETS];
  Route *routes;
  bool has_fallbacks;
  char ids[2 * ROUTER_ID_BYTES + 2]; /* begins the ids of its requests: random, and a "-" */
};

/* The child of `node` that is this text segment, or NULL. */
static inline Node *text_child(const Node *node, const char *text, size_t n) {
  for (Node *child = node->texts; child; child = child->next)
    if (child->text_len == n && !memcmp(child->text, text, n)) return child;
  return NULL;
}

static inline uint64_t hash_word(uint64_t h, uint64_t word) {
  h = (h ^ word) * 0x9e3779b97f4a7c15u;
  return h ^ h >> 32;
}

/* Of n > 0 bytes, eight per step, the last eight possibly twice. The application's own paths are
   few, and nobody else adds any. */
static inline uint32_t hash_path(const char *path, size_t n) {
  const char *end = path + n;
  uint64_t h = n;
  if (n < 8) {
    for (; path < end; path++) h = hash_word(h, (unsigned char)*path);
    return (uint32_t)h;
  }
  for (; end - path > 8; path += 8) h = hash_word(h, word_load(path));
  return (uint32_t)hash_word(h, word_load(end - 8));
}

/* The pattern without parameters that is this path, or NULL. */
static inline const StaticPath *find_static(const HttpRouter *router, const char *path, size_t n) {
  uint32_t hash = hash_path(path, n);
  const StaticPath *s = router->statics[hash % STATIC_BUCKETS];
  while (s && (s->hash != hash || s->len != n || memcmp(s->path, path, n))) s = s->next;
  return s;
}

#endif
