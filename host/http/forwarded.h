/* Readers of the headers with which proxies say whom they forward for: Forwarded (RFC 7239) and
   X-Forwarded-For. What the texts mean, and whether they are believed, is up to the caller. */
#ifndef ML_FORWARDED_H
#define ML_FORWARDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A piece of a header; `len` 0: there is none. */
typedef struct ForwardedText {
  const char *text;
  size_t len;
} ForwardedText;

/* An element of Forwarded: what one proxy has said. Values are without their quotes. */
typedef struct ForwardedElement {
  ForwardedText node, proto, host; /* its "for", "proto" and "host" */
} ForwardedElement;

typedef enum ForwardedResult { FORWARDED_END, FORWARDED_ELEMENT, FORWARDED_BAD } ForwardedResult;

/* Reads the next element of a header's value from `*at` on. FORWARDED_BAD: it breaks the grammar of
   RFC 7239 section 4, names a parameter twice, or has a value with a backslash that matters here,
   which no address, scheme or host needs. */
ForwardedResult forwarded_next(const char **at, const char *end, ForwardedElement *element);

/* A node: an address, perhaps with a port, or a name. */
typedef struct ForwardedNode {
  ForwardedText address; /* without brackets; len 0: it has a name instead */
  ForwardedText name;    /* "unknown" or "_hidden", which say no more than that it is not known */
  uint16_t port;         /* 0: none, or a hidden one */
} ForwardedNode;

/* Reads a node of Forwarded (RFC 7239 section 6). `bare`: one of X-Forwarded-For, where an IPv6
   address needs no brackets. Whether the address is one is not checked. */
bool forwarded_node(ForwardedText text, bool bare, ForwardedNode *node);

/* The next item of a list with commas, without the space around it; an empty one is passed over.
   False at the end. */
bool forwarded_item(const char **at, const char *end, ForwardedText *item);

#endif
