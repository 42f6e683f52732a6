/* Routing: paths compiled at registration into a tree of segments, searched without allocation.

   A segment of a pattern is text, or one of `{name}`, `{name:int}`, `{name:number}`, and at the
   end of the pattern `{name:path}`. If several match, text is preferred to int, int to number,
   number to any text, and that to a path; but see http_router_add_mount. A request's path is split
   at '/' before its segments are percent-decoded, so an encoded slash is data. */
#ifndef ML_HTTP_ROUTER_H
#define ML_HTTP_ROUTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ROUTER_MAX_PARAMS = 16 };
#define ROUTE_MAX_BODY_UNSET (UINT64_MAX - 1)

typedef enum ParamKind { PARAM_INT, PARAM_NUMBER, PARAM_TEXT, PARAM_PATH, PARAM_KINDS } ParamKind;

typedef struct RouteParam {
  char *name;
  ParamKind kind;
} RouteParam;

/* The methods of the API; ROUTE_ANY answers methods without a route of their own. */
typedef enum RouteMethod {
  ROUTE_GET,
  ROUTE_POST,
  ROUTE_PUT,
  ROUTE_PATCH,
  ROUTE_DELETE,
  ROUTE_HEAD,
  ROUTE_OPTIONS,
  ROUTE_ANY,
  ROUTE_METHODS,
} RouteMethod;

typedef struct Route {
  struct Route *next;      /* in the router's list */
  double cpu, slice;       /* limits of its requests in seconds; 0: none */
  char *name;              /* "GET /users/{id}", for messages */
  struct TaskLabel *label; /* for its requests' tasks */
  const char *template;    /* "/users/{id}", a part of `name`; NULL: the stand-in for paths without
                              a route */
  uint64_t template_hash;  /* of that; 0: none */
  char *site;              /* "app.lua:12", the place of its handler; NULL: not known */
  RouteParam params[ROUTER_MAX_PARAMS];
  unsigned n_params;
  /* The owner's. */
  int handler_ref;
  uint64_t max_body;  /* bytes; ROUTE_MAX_BODY_UNSET: the server's */
  bool takes_request; /* the handler has a parameter */
  bool renders;       /* and answers instead of the server for a body that is too large */
} Route;

typedef struct HttpRouter HttpRouter;

/* A router without routes; NULL when memory is out. The caller frees it. */
HttpRouter *http_router_new(void);
void http_router_free(HttpRouter *router);

/* "GET" to ROUTE_GET; ROUTE_METHODS when unknown. The name is in upper case. */
RouteMethod http_router_method(const char *name);

/* Adds a route; the router owns it. NULL on failure: `error` (of `error_size` bytes) says what is
   wrong with the pattern. */
Route *http_router_add(HttpRouter *router, RouteMethod method, const char *pattern, char *error,
                       size_t error_size);

/* Adds a route for paths that begin with `prefix`, a pattern without a '/' at its end ("" is every
   path), and have no route for the request's method. The longest prefix counts. Fails as
   http_router_add does. */
Route *http_router_add_fallback(HttpRouter *router, const char *prefix, char *error,
                                size_t error_size);

/* Reserves all paths that begin with `prefix`, a pattern without a '/' at its end, for another
   application: a path without a route below the prefix has none, even if other routes match it.
   False on failure, with `error` as in http_router_add. */
bool http_router_add_mount(HttpRouter *router, const char *prefix, char *error, size_t error_size);

/* All routes, linked by `next`. */
const Route *http_router_routes(const HttpRouter *router);

/* A parameter's place in the path that was matched, still encoded. */
typedef struct RouteCapture {
  uint32_t at, len;
} RouteCapture;

typedef struct RouteMatch {
  const Route *route; /* NULL: not found */
  unsigned allowed;   /* when not found: bits of the methods that the path has */
  RouteCapture captures[ROUTER_MAX_PARAMS];
} RouteMatch;

/* Finds the route for `method` (ROUTE_METHODS: one that only ROUTE_ANY answers). A GET route
   answers HEAD if there is no HEAD route. `escaped`: the path has a '%', all of them well
   formed. */
void http_router_find(const HttpRouter *router, RouteMethod method, const char *path, size_t n,
                      bool escaped, RouteMatch *match);

/* Writes the Allow header's value for `allowed` into `out`: at least 64 bytes. */
void http_router_allow(unsigned allowed, char *out);

#endif
