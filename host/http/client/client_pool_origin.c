/* Part of client_pool.h: origins, and how a request finds its own. */
#include "base/hash.h"
#include "http/client/client_connection.h"
#include "http/client/client_exchange.h"
#include "http/http2_library.h"
#include <stdlib.h>
#include <string.h>

enum {
  MOST_ADDRESSES = 1024,   /* bytes of them as text */
  MOST_CREDENTIALS = 1024, /* bytes of a proxy's */
};

/* The key of an origin: the host in lower case, the port, the path of the socket or the addresses,
   since a kept connection serves nobody to whom its address is not allowed, and the proxy. A
   proxy that gets whole URLs takes the host's place. */
typedef struct Key {
  char text[HTTP_URL_MAX_HOST + 13 + 256 + MOST_ADDRESSES + 256 + MOST_CREDENTIALS];
  size_t len, host_len;
  uint32_t hash;
} Key;

/* Adds a text with its end to a key. False if it has more than `most` bytes. */
static bool key_add(char **out, const char *text, size_t most) {
  size_t n = text ? strlen(text) + 1 : 0;
  if (n > most) return false;
  if (n) memcpy(*out, text, n);
  *out += n;
  return true;
}

/* False if a text is too long. */
static bool key_make(Key *key, const ClientRequest *r) {
  bool by_proxy = r->proxy.host != NULL, forwards = by_proxy && !r->url.is_https;
  const char *host = forwards ? r->proxy.host : r->url.host;
  uint16_t port = forwards ? r->proxy.port : r->url.port;
  char *out = key->text;
  uint64_t hash = HASH_START;
  key->host_len = forwards ? strlen(host) : r->url.host_len;
  if (key->host_len > HTTP_URL_MAX_HOST) return false;
  for (size_t i = 0; i < key->host_len; i++) {
    char c = host[i];
    *out++ = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    hash = hash_byte(hash, (unsigned char)out[-1]);
  }
  *out++ = 0;
  memcpy(out, &port, sizeof port);
  out += sizeof port;
  *out++ = !forwards && r->url.is_ipv6;
  *out++ = r->url.is_https;
  *out++ = r->url.is_https && r->insecure;
  *out++ = r->addresses != NULL;
  *out++ = by_proxy;
  if (!key_add(&out, r->unix_path, 256) || !key_add(&out, r->addresses, MOST_ADDRESSES))
    return false;
  if (by_proxy) {
    memcpy(out, &r->proxy.port, sizeof r->proxy.port);
    out += sizeof r->proxy.port;
    if (!key_add(&out, r->proxy.host, 256) ||
        !key_add(&out, r->proxy.credentials, MOST_CREDENTIALS))
      return false;
  }
  key->len = (size_t)(out - key->text);
  key->hash = (uint32_t)hash ^ port;
  return true;
}

bool client_pool_add_host(Buffer *b, const HttpUrl *url) {
  size_t len = url->host_len;
  const char *zone = memchr(url->host, '%', len); /* it is left out */
  if (zone) len = (size_t)(zone - url->host);
  bool ok = buffer_printf(b, url->is_ipv6 ? "[%.*s]" : "%.*s", (int)len, url->host);
  return ok && (url->port == (url->is_https ? 443 : 80) || buffer_printf(b, ":%u", url->port));
}

/* The default header lines of a request, in one piece, beginning with Host, which a proxy gets with
   each request. */
static bool make_fields(Buffer *b, const ClientRequest *r) {
  if (r->proxy.host && !r->url.is_https) return true;
  return buffer_add(b, "Host: ", 6) && client_pool_add_host(b, &r->url) && buffer_add(b, "\r\n", 2);
}

/* What is known of a new origin. */
static ClientProtocol protocol_of(const ClientPool *pool, const ClientRequest *r) {
  const char *error;
  if (pool->port) return CLIENT_HTTP_1;
  if (!r->url.is_https) return pool->http2_clear && !r->proxy.host ? CLIENT_HTTP_2 : CLIENT_HTTP_1;
  return pool->http2 && http2_library(&error) ? CLIENT_HTTP_UNKNOWN : CLIENT_HTTP_1;
}

#define OTHER_FIELDS CLIENT_USER_AGENT CLIENT_ACCEPT CLIENT_ACCEPT_ENCODING

static ClientOrigin *origin_new(ClientPool *pool, const Key *key, const ClientRequest *r) {
  Buffer fields = {0};
  size_t path = r->unix_path ? strlen(r->unix_path) + 1 : 0;
  size_t addresses = r->addresses ? strlen(r->addresses) + 1 : 0;
  size_t proxy = r->proxy.host ? strlen(r->proxy.host) + 1 : 0;
  size_t credentials = r->proxy.credentials ? strlen(r->proxy.credentials) + 1 : 0;
  ClientOrigin *o = NULL;
  if (make_fields(&fields, r) && buffer_add(&fields, OTHER_FIELDS, sizeof OTHER_FIELDS - 1) &&
      (o = malloc(sizeof *o + key->len + key->host_len + 1 + path + addresses + proxy +
                  credentials + fields.len))) {
    *o = (ClientOrigin){.pool = pool,
                        .hash = key->hash,
                        .key_len = key->len,
                        .host_key = key->host_len,
                        .is_ipv6 = r->url.is_ipv6,
                        .is_plain = !path && !addresses && !proxy && !r->url.is_ipv6,
                        .by_proxy = proxy != 0,
                        .is_https = r->url.is_https,
                        .insecure = r->insecure,
                        .protocol = protocol_of(pool, r)};
    o->takes_http2 = o->protocol != CLIENT_HTTP_1;
    char *at = o->key;
    memcpy(at, key->text, key->len);
    char *host = at += key->len;
    memcpy(host, key->text, key->host_len);
    char *zone = memchr(host, '%', key->host_len);
    size_t host_len = key->host_len;
    if (zone && host + host_len - zone >= 3) { /* "%25" is '%' */
      memmove(zone + 1, zone + 3, (size_t)(host + host_len - zone - 3));
      host_len -= 2;
    }
    host[host_len] = 0;
    at += key->host_len + 1;
    o->host = host;
    o->hides_cert = client_tls_hides_cert(&pool->tls, host, r->url.port);
    o->endpoint = (DialEndpoint){.host = host, .port = r->url.port};
    if (proxy) o->endpoint = (DialEndpoint){memcpy(at, r->proxy.host, proxy), r->proxy.port};
    at += proxy;
    if (credentials) o->credentials = memcpy(at, r->proxy.credentials, credentials);
    at += credentials;
    if (path) o->endpoint.unix_path = memcpy(at, r->unix_path, path);
    at += path;
    if (addresses) o->endpoint.addresses = memcpy(at, r->addresses, addresses);
    at += addresses;
    o->fields = memcpy(at, fields.data, fields.len);
    o->fields_len = fields.len;
    o->host_len = fields.len - (sizeof OTHER_FIELDS - 1);
    o->next = pool->buckets[key->hash % CLIENT_BUCKETS];
    pool->buckets[key->hash % CLIENT_BUCKETS] = o;
  }
  buffer_free(&fields);
  return o;
}

static ClientOrigin *find_origin(ClientPool *pool, const Key *key) {
  ClientOrigin *o = pool->buckets[key->hash % CLIENT_BUCKETS];
  while (o &&
         (o->hash != key->hash || o->key_len != key->len || memcmp(o->key, key->text, key->len)))
    o = o->next;
  return o;
}

/* Is the request for this origin? May be false even if it is. */
static bool is_plainly_for(const ClientOrigin *o, const ClientRequest *r) {
  return o && o->is_plain && !r->unix_path && !r->addresses && !r->proxy.host && !r->url.is_ipv6 &&
         o->endpoint.port == r->url.port && o->host_key == r->url.host_len &&
         !memcmp(o->key, r->url.host, r->url.host_len) && o->is_https == r->url.is_https &&
         (!o->is_https || o->insecure == r->insecure);
}

ClientOrigin *client_pool_origin(ClientPool *pool, ClientExchange *x) {
  Key key;
  if (is_plainly_for(pool->latest, &x->request)) return pool->latest;
  if (!key_make(&key, &x->request)) {
    client_exchange_fail_with(x, UV_ENAMETOOLONG);
    return NULL;
  }
  ClientOrigin *o = find_origin(pool, &key);
  if (!o) o = origin_new(pool, &key, &x->request);
  if (!o) client_exchange_fail_memory(x);
  pool->latest = o;
  return o;
}

void client_pool_drop_origin(ClientOrigin *o) {
  if (o->connections || o->first) return;
  ClientOrigin **link = &o->pool->buckets[o->hash % CLIENT_BUCKETS];
  while (*link != o) link = &(*link)->next;
  *link = o->next;
  if (o->pool->latest == o) o->pool->latest = NULL;
  buffer_free(&o->rest);
  free(o);
}
