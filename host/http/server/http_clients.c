#include "http/server/http_clients.h"

#include "net/network.h"
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { FIRST_BUCKETS = 64, NETWORK_BYTES = 8 };

typedef struct HttpClient {
  struct HttpClient *next;
  NetworkAddress address;
  uint64_t count;
} HttpClient;

/* The address to count, or false if there is none. */
static bool read_address(const ByteStreamPeer *peer, NetworkAddress *address) {
  if (!network_of(&peer->any, address)) return false;
  if (!network_is_v4(address))
    memset(address->bytes + NETWORK_BYTES, 0, sizeof address->bytes - NETWORK_BYTES);
  return true;
}

static size_t bucket_of(const HttpClients *all, const NetworkAddress *address) {
  uint64_t words[2], hash = all->seed;
  memcpy(words, address->bytes, sizeof words);
  for (int i = 0; i < 2; i++) {
    hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15ull;
    hash ^= hash >> 29;
  }
  return (size_t)(hash & (all->n_buckets - 1));
}

/* Where the client's entry is linked, or would be. There are buckets. */
static HttpClient **find(const HttpClients *all, const NetworkAddress *address) {
  HttpClient **link = &all->buckets[bucket_of(all, address)];
  while (*link && memcmp((*link)->address.bytes, address->bytes, sizeof address->bytes) != 0)
    link = &(*link)->next;
  return link;
}

/* Makes room for one more. */
static bool grow(HttpClients *all) {
  if (all->n < all->n_buckets) return true;
  HttpClients larger = *all;
  larger.n_buckets = all->n_buckets ? all->n_buckets * 2 : FIRST_BUCKETS;
  if (!all->n_buckets && getrandom(&larger.seed, sizeof larger.seed, 0) < 0) larger.seed = 1;
  larger.buckets = calloc(larger.n_buckets, sizeof *larger.buckets);
  if (!larger.buckets) return false;
  for (size_t i = 0; i < all->n_buckets; i++) {
    for (HttpClient *client; (client = all->buckets[i]);) {
      all->buckets[i] = client->next;
      size_t bucket = bucket_of(&larger, &client->address);
      client->next = larger.buckets[bucket];
      larger.buckets[bucket] = client;
    }
  }
  free(all->buckets);
  *all = larger;
  return true;
}

bool http_clients_enter(HttpClients *all, const ByteStreamPeer *peer, uint64_t most) {
  NetworkAddress address;
  if (!read_address(peer, &address)) return true;
  if (!grow(all)) return false;
  HttpClient **link = find(all, &address), *client = *link;
  if (client) return client->count < most && ++client->count;
  client = malloc(sizeof *client);
  if (!client) return false;
  *client = (HttpClient){.address = address, .count = 1};
  *link = client;
  all->n++;
  return true;
}

void http_clients_leave(HttpClients *all, const ByteStreamPeer *peer) {
  NetworkAddress address;
  if (!read_address(peer, &address) || !all->n) return;
  HttpClient **link = find(all, &address), *client = *link;
  if (!client || --client->count) return;
  *link = client->next;
  free(client);
  all->n--;
}

void http_clients_free(HttpClients *all) {
  free(all->buckets);
  *all = (HttpClients){0};
}
