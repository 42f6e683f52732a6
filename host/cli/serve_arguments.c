#include "cli/serve_arguments.h"

#include "cli/defaults.h"
#include "serve/supervisor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* --- options that are not limits of the server: each takes a value that is not empty --- */

static const char *set_host(OptionReader *reader, const char *v) {
  ServeWhere *where = &reader->request->where;
  where->is_host = true;
  if (listen_address_tcp(v, where->list[0].port, &where->list[0])) return NULL;
  return option_wrong(reader, "serve: the name in --host is too long");
}

static const char *set_port(OptionReader *reader, const char *v) {
  char *end;
  long port = strtol(v, &end, 10);
  if (*end || port < 0 || port > 65535)
    return option_wrong(reader, "serve: --port must be a number from 0 to 65535, not '%s'", v);
  reader->request->where.list[0].port = (uint16_t)port;
  reader->request->where.is_host = true;
  return NULL;
}

static const char *set_redirect(OptionReader *reader, const char *v) {
  char *end;
  long port = strtol(v, &end, 10);
  if (*end || port < 0 || port > 65535)
    return option_wrong(reader, "serve: --redirect-https must be a port from 0 to 65535, not '%s'",
                        v);
  reader->request->where.redirect_port = (uint16_t)port;
  reader->request->where.redirects = true;
  return NULL;
}

/* The first address takes the place of that of --host and --port. */
static const char *set_listen(OptionReader *reader, const char *v) {
  ServeWhere *where = &reader->request->where;
  if (!where->is_default) {
    ListenAddress *list = realloc(where->list, (where->n + 1) * sizeof *list);
    if (!list) return option_wrong(reader, "not enough memory");
    where->list = list;
    where->n++;
  }
  where->is_default = false;
  const char *wrong = listen_address_read(v, strlen(v), &where->list[where->n - 1]);
  return wrong ? option_wrong(reader, "serve: --listen %s: %s", v, wrong) : NULL;
}

static const char *set_workers(OptionReader *reader, const char *v) {
  char *end;
  long n = strtol(v, &end, 10);
  if (strcmp(v, "auto") == 0) {
    n = uv_available_parallelism();
    if (n > CHILDREN_MAX) n = CHILDREN_MAX;
  } else if (*end || n < 1 || n > CHILDREN_MAX) {
    return option_wrong(reader, "serve: --workers must be auto or a number from 1 to %d, not '%s'",
                        CHILDREN_MAX, v);
  }
  reader->request->workers = (int)n;
  return NULL;
}

static const char *set_kill_after(OptionReader *reader, const char *v) {
  return option_read_time(reader, "--kill-after", v, 1, &reader->request->kill_after);
}

static const char *set_access_log(OptionReader *reader, const char *v) {
  if (strcmp(v, "common") != 0 && strcmp(v, "json") != 0)
    return option_wrong(reader, "serve: --access-log must be common or json, not '%s'", v);
  reader->request->access_log = v;
  return NULL;
}

static const char *set_trusted_proxies(OptionReader *reader, const char *v) {
  reader->request->trusted_proxies = v;
  return NULL;
}

static const char *set_root_path(OptionReader *reader, const char *v) {
  reader->request->root_path = v;
  return NULL;
}

static const char *set_http2(OptionReader *reader, const char *v) {
  if (strcmp(v, "true") != 0 && strcmp(v, "false") != 0 && strcmp(v, "clear") != 0)
    return option_wrong(reader, "serve: --http2 must be true, false or clear, not '%s'", v);
  reader->request->http2 = v;
  return NULL;
}

static const char *add_tls_cert(OptionReader *reader, const char *v) {
  return option_add_text(reader, &reader->request->tls_certs, &reader->request->n_tls_certs, v);
}

static const char *add_tls_key(OptionReader *reader, const char *v) {
  return option_add_text(reader, &reader->request->tls_keys, &reader->request->n_tls_keys, v);
}

static const ValueOption serve_options[] = {
    {"--host", set_host},
    {"--port", set_port},
    {"--listen", set_listen},
    {"--redirect-https", set_redirect},
    {"--tls-cert", add_tls_cert},
    {"--tls-key", add_tls_key},
    {"--workers", set_workers},
    {"--access-log", set_access_log},
    {"--kill-after", set_kill_after},
    {"--trusted-proxies", set_trusted_proxies},
    {"--root-path", set_root_path},
    {"--http2", set_http2},
    OPTION_SERVING,
};
enum { OPTIONS = sizeof serve_options / sizeof *serve_options };

static const ValueOption *find_option(const char *arg) {
  return option_find(serve_options, OPTIONS, arg);
}

/* --- limits of the server --- */

static const HttpLimit *find_limit(const char *arg) {
  size_t n = strcspn(arg, "=");
  bool may_be = n > 2 && arg[0] == '-' && arg[1] == '-' && !memchr(arg, '_', n);
  return may_be ? http_limits_find(arg + 2, n - 2) : NULL;
}

static const char *set_limit(OptionReader *reader, const HttpLimit *limit, const char *option,
                             const char *v) {
  HttpLimits scratch;
  char *end, expected[120];
  double value = strtod(v, &end);
  if (*end || !http_limits_set(&scratch, limit, value)) {
    http_limits_describe(limit, expected, sizeof expected);
    return option_wrong(reader, "serve: %.*s must be %s, not '%s'", (int)strcspn(option, "="),
                        option, expected, v);
  }
  reader->request->limits[limit - http_limits] = value;
  reader->request->is_limited[limit - http_limits] = true;
  return NULL;
}

/* --- both --- */

/* Reports an unknown option, and suggests a similar one. */
static const char *unknown_option(OptionReader *reader, const char *option) {
  static const char *const flags[] = {"--reload", "--docs", "--proxy-protocol",
                                      OPTION_SERVING_FLAGS};
  enum { FLAGS = sizeof flags / sizeof *flags };
  const char *names[OPTIONS + HTTP_LIMITS + FLAGS];
  char limits[HTTP_LIMITS][40];
  size_t n = 0;
  bool is_flag = false;
  for (size_t i = 0; i < FLAGS; i++) {
    is_flag |= option_is(option, flags[i]);
    names[n++] = flags[i];
  }
  if (is_flag)
    return option_wrong(reader, "serve: %.*s takes no value: '%s'", (int)strcspn(option, "="),
                        option, option);
  for (size_t i = 0; i < OPTIONS; i++) names[n++] = serve_options[i].name;
  for (size_t i = 0; i < HTTP_LIMITS; i++) {
    snprintf(limits[i], sizeof limits[i], "--%s", http_limits[i].name);
    for (char *c = limits[i]; *c; c++)
      *c = *c == '_' ? '-' : *c; /* limits have names with underscores elsewhere */
    names[n++] = limits[i];
  }
  return option_unknown(reader, "serve", option, names, n);
}

bool serve_arguments_has(const char *arg) { return find_option(arg) || find_limit(arg); }

const char *serve_arguments_read(OptionReader *reader, char **list, int n, int *i) {
  const char *option = list[*i];
  size_t name_length = strcspn(option, "=");
  const ValueOption *known = find_option(option);
  const HttpLimit *limit = find_limit(option);
  if (!known && !limit) return unknown_option(reader, option);
  const char *v = option_value(list, n, i);
  if (!v || !*v) return option_wrong(reader, "serve: %.*s needs a value", (int)name_length, option);
  return limit ? set_limit(reader, limit, option, v) : known->set(reader, v);
}

const char *serve_arguments_check(OptionReader *reader) {
  const ServeWhere *where = &reader->request->where;
  if (where->is_host && !where->is_default)
    return option_wrong(reader, "serve: --listen takes the place of --host and --port");
  const CliRequest *r = reader->request;
  if (r->n_tls_certs != r->n_tls_keys)
    return option_wrong(reader, "serve: each --tls-cert needs its --tls-key: there are %d and %d",
                        r->n_tls_certs, r->n_tls_keys);
  /* Without certificates here the app may have some. */
  bool any = !r->n_tls_certs;
  for (unsigned i = 0; i < where->n; i++) any |= where->list[i].tls;
  for (unsigned i = 0; i < where->n; i++) where->list[i].tls |= !any;
  return NULL;
}

bool serve_arguments_default(CliRequest *r) {
  r->where = (ServeWhere){.list = calloc(1, sizeof *r->where.list), .n = 1, .is_default = true};
  if (!r->where.list) return false;
  listen_address_tcp(HTTP_LISTEN_HOST, HTTP_LISTEN_PORT, &r->where.list[0]);
  r->cpu_limit = DEFAULTS_CPU_LIMIT;
  r->kill_after = DEFAULTS_KILL_AFTER;
  return true;
}
