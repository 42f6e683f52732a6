/* The header with which a proxy begins a connection to say whose it is: HAProxy's PROXY protocol,
   versions 1 (a line of text) and 2 (binary). It has no socket, so that a fuzzer can drive it. */
#ifndef ML_PROXY_PROTOCOL_H
#define ML_PROXY_PROTOCOL_H

#include "net/byte_stream.h"

enum {
  PROXY_LINE_MAX = 107, /* bytes of a header of version 1, its line end included */
  PROXY_FIXED = 16,     /* bytes before the addresses of version 2 */
  PROXY_KEPT = PROXY_FIXED + 2 * 108 + 4, /* the longest addresses are those of Unix sockets */
};

typedef enum ProxyProgress { PROXY_MORE, PROXY_DONE, PROXY_BAD } ProxyProgress;

/* All zero for a new connection. */
typedef struct ProxyProtocol {
  uint8_t head[PROXY_KEPT]; /* its first bytes: a whole line, or the part before the TLVs */
  uint32_t seen;            /* bytes of the header so far */
  uint32_t crc;             /* over them, with those of the checksum itself as zero */
  uint32_t sum;             /* the checksum that is in the header */
  bool has_sum;
  uint8_t type;      /* of the TLV under way */
  uint16_t tlv_seen; /* bytes of it, with the three of type and length */
  uint16_t tlv_size; /* of its value */
  /* After PROXY_DONE: whether the proxy has said whose connection it is, and whose. Otherwise the
     connection is the proxy's own (LOCAL, as for health checks) or of a kind that it has no word
     for (UNKNOWN), and the address of the socket counts. */
  bool has_source;
  ByteStreamPeer source; /* a client of a Unix socket has AF_UNIX, and no name */
} ProxyProtocol;

/* Takes bytes from the start of the connection on. `*used` is how many of them belong to the
   header: all of them unless it is complete. PROXY_BAD: the connection does not begin with a header
   that is right, and nothing of it can be believed. */
ProxyProgress proxy_protocol_feed(ProxyProtocol *p, const char *bytes, size_t n, size_t *used);

#endif
