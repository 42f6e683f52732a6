/* How many connections each client address has, for the limit `max_per_ip`. */
#ifndef ML_HTTP_CLIENTS_H
#define ML_HTTP_CLIENTS_H

#include "net/byte_stream.h"

/* All zero: none. */
typedef struct HttpClients {
  struct HttpClient **buckets;
  size_t n_buckets; /* a power of two, or 0 */
  size_t n;
  uint64_t seed;
} HttpClients;

/* One more of the address `peer`; of IPv6, the first 64 bits count, which is what one client has.
   Those without an address are not counted. False, with nothing counted: it has `most` already, or
   memory is out. */
bool http_clients_enter(HttpClients *all, const ByteStreamPeer *peer, uint64_t most);

/* One less. */
void http_clients_leave(HttpClients *all, const ByteStreamPeer *peer);

/* Frees the table, which must be empty. */
void http_clients_free(HttpClients *all);

#endif
