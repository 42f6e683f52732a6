#include "http/server/http_forwarded.h"

#include "http/forwarded.h"
#include "http/server/http_head.h"

#include <string.h>

enum { MOST = 64 }; /* proxies on the way */

/* What is said, from the farthest proxy to the nearest. */
typedef struct Texts {
  ForwardedText list[MOST];
  size_t n;
} Texts;

typedef struct Said {
  ForwardedElement elements[MOST]; /* of Forwarded */
  size_t n;
  Texts nodes, protos, hosts, ports; /* of X-Forwarded-For, -Proto, -Host and -Port */
} Said;

/* What one kind of headers leads to. */
typedef struct Found {
  bool is_there;
  ForwardedText node; /* the client's; len 0: only the peer is known */
  ForwardedNode parts;
  NetworkAddress address; /* if parts.address */
  ForwardedText host, port;
  HttpScheme scheme;
} Found;

/* --- collecting --- */

static const char *add_elements(Said *said, const HttpHeader *h) {
  const char *at = h->value, *end = at + h->value_len;
  for (;;) {
    ForwardedElement element;
    ForwardedResult result = forwarded_next(&at, end, &element);
    if (result == FORWARDED_END) return NULL;
    if (result == FORWARDED_BAD) return "malformed Forwarded header";
    if (said->n == MOST) return "too many proxies";
    said->elements[said->n++] = element;
  }
}

static const char *add_items(Texts *texts, const HttpHeader *h) {
  const char *at = h->value, *end = at + h->value_len;
  ForwardedText item;
  while (forwarded_item(&at, end, &item)) {
    if (texts->n == MOST) return "too many proxies";
    texts->list[texts->n++] = item;
  }
  return NULL;
}

static const char *add_header(Said *said, const HttpHeader *h) {
  switch (h->name_len) {
  case 9:
    if (http_header_is(h->name, 9, "forwarded")) return add_elements(said, h);
    break;
  case 15:
    if (http_header_is(h->name, 15, "x-forwarded-for")) return add_items(&said->nodes, h);
    break;
  case 16:
    if (http_header_is(h->name, 16, "x-forwarded-host")) return add_items(&said->hosts, h);
    if (http_header_is(h->name, 16, "x-forwarded-port")) return add_items(&said->ports, h);
    break;
  case 17:
    if (http_header_is(h->name, 17, "x-forwarded-proto")) return add_items(&said->protos, h);
    break;
  }
  return NULL;
}

static const char *collect(Said *said, const HttpRequest *r) {
  const char *lines = http_request_head(r) + r->headers.at, *wrong = NULL;
  size_t n = r->headers.len;
  HttpHeader h;
  said->n = said->nodes.n = said->protos.n = said->hosts.n = said->ports.n = 0;
  while (!wrong && http_header_next(&lines, &n, &h)) wrong = add_header(said, &h);
  return wrong;
}

/* --- going back --- */

/* Takes a node as the client. False: it is malformed. */
static bool take_node(Found *found, ForwardedText text, bool bare) {
  found->node = text;
  if (!forwarded_node(text, bare, &found->parts)) return false;
  const ForwardedText *address = &found->parts.address;
  return !address->len || network_read_address(address->text, address->len, &found->address);
}

/* Has a trusted proxy said what lies before this node? */
static bool is_trusted(const Found *found, const HttpTrust *trust) {
  return found->parts.address.len && http_trust_has_address(trust, &found->address);
}

static HttpScheme scheme_of(ForwardedText text) {
  const char *p = text.text;
  size_t n = text.len;
  if (n && (http_header_is(p, n, "https") || http_header_is(p, n, "wss"))) return HTTP_SCHEME_HTTPS;
  if (n && (http_header_is(p, n, "http") || http_header_is(p, n, "ws"))) return HTTP_SCHEME_HTTP;
  return HTTP_SCHEME_UNSAID;
}

static const char *find_by_forwarded(Found *found, const Said *said, const HttpTrust *trust) {
  for (size_t i = said->n; i-- > 0;) {
    const ForwardedElement *element = &said->elements[i];
    /* A proxy nearer to the client knows better. */
    if (element->proto.len) found->scheme = scheme_of(element->proto);
    if (element->host.len) found->host = element->host;
    if (!element->node.len) break;
    if (!take_node(found, element->node, false)) return "malformed Forwarded header";
    if (!is_trusted(found, trust)) break;
  }
  return NULL;
}

/* The item that the proxy `hops` steps away has added, or the only one. Of a list that is shorter
   than the way nobody knows which proxies have added to it: its first item may be the client's own,
   and none counts. */
static ForwardedText pick(const Texts *texts, size_t hops) {
  if (texts->n == 1) return texts->list[0];
  return hops <= texts->n ? texts->list[texts->n - hops] : (ForwardedText){0};
}

static const char *find_by_lists(Found *found, const Said *said, const HttpTrust *trust) {
  size_t hops = 0;
  for (size_t i = said->nodes.n; i-- > 0;) {
    hops++;
    if (!take_node(found, said->nodes.list[i], true)) return "malformed X-Forwarded-For header";
    if (!is_trusted(found, trust)) break;
  }
  if (!hops) hops = 1;
  found->scheme = scheme_of(pick(&said->protos, hops));
  found->host = pick(&said->hosts, hops);
  found->port = pick(&said->ports, hops);
  return NULL;
}

/* --- the result --- */

static bool is_same_text(ForwardedText a, ForwardedText b) {
  return a.len == b.len && (!a.len || !memcmp(a.text, b.text, a.len));
}

static bool is_same(const Found *a, const Found *b) {
  if (a->scheme != b->scheme || !is_same_text(a->host, b->host)) return false;
  if (!a->node.len != !b->node.len || !is_same_text(a->parts.name, b->parts.name)) return false;
  if (!a->parts.address.len != !b->parts.address.len) return false;
  return !a->parts.address.len || !memcmp(&a->address, &b->address, sizeof a->address);
}

static HttpSpan span_of(const HttpRequest *r, ForwardedText text) {
  return (HttpSpan){(uint32_t)(text.text - http_request_head(r)), (uint32_t)text.len};
}

static void set_client(HttpForwarded *f, const Found *found, const HttpRequest *r) {
  if (!found->node.len) return;
  f->client = (ByteStreamPeer){0};
  if (!found->parts.address.len) {
    f->name = span_of(r, found->parts.name);
    if (f->name.len > HTTP_FORWARDED_NAME) f->name.len = HTTP_FORWARDED_NAME;
  } else if (network_is_v4(&found->address)) {
    f->client.v4.sin_family = AF_INET;
    memcpy(&f->client.v4.sin_addr, found->address.bytes + 12, 4);
    f->client.v4.sin_port = htons(found->parts.port);
  } else {
    f->client.v6.sin6_family = AF_INET6;
    memcpy(&f->client.v6.sin6_addr, found->address.bytes, 16);
    f->client.v6.sin6_port = htons(found->parts.port);
  }
}

static bool set_port(HttpForwarded *f, ForwardedText text) {
  unsigned number = 0;
  if (text.len > 5) return false;
  for (size_t i = 0; i < text.len; i++) {
    if (text.text[i] < '0' || text.text[i] > '9') return false;
    number = number * 10 + (unsigned)(text.text[i] - '0');
  }
  f->port = (uint16_t)number;
  return text.len == 0 || (number > 0 && number <= 65535);
}

void http_forwarded_reset(HttpForwarded *f, const ByteStreamPeer *peer) {
  *f = (HttpForwarded){.client = *peer};
}

const char *http_forwarded_read(HttpForwarded *f, const HttpRequest *r, const HttpTrust *trust,
                                const ByteStreamPeer *peer) {
  Said said;
  Found found = {0}, by_lists = {0};
  http_forwarded_reset(f, peer);
  const char *wrong = collect(&said, r);
  if (wrong) return wrong;
  found.is_there = said.n > 0;
  by_lists.is_there = said.nodes.n || said.protos.n || said.hosts.n || said.ports.n;
  wrong = find_by_forwarded(&found, &said, trust);
  if (!wrong) wrong = find_by_lists(&by_lists, &said, trust);
  if (wrong) return wrong;
  if (found.is_there && by_lists.is_there && !is_same(&found, &by_lists))
    return "the headers Forwarded and X-Forwarded-* disagree: the proxy has to remove those that "
           "it does not write";
  bool has_port = !found.is_there; /* Forwarded has it in its host */
  if (has_port) found = by_lists;
  set_client(f, &found, r);
  f->scheme = found.scheme;
  if (found.host.len) {
    if (!http_head_host_ok(found.host.text, found.host.text + found.host.len))
      return "the forwarded host is malformed";
    f->host = span_of(r, found.host);
  }
  return !has_port || set_port(f, found.port) ? NULL : "malformed X-Forwarded-Port header";
}
