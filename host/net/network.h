/* Addresses and networks of both families, such as 10.0.0.0/8 and fd00::/8, as numbers that can be
   compared. An IPv4 address is kept as the IPv4-mapped one (RFC 4291 section 2.5.5.2), so that a
   client of a socket for both families is known by its IPv4 address. */
#ifndef ML_NETWORK_H
#define ML_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

typedef struct NetworkAddress {
  uint8_t bytes[16];
} NetworkAddress;

typedef struct Network {
  NetworkAddress address;
  uint8_t bits; /* how many of its first bits count, of 128 */
} Network;

enum { NETWORK_TEXT = 46 }; /* bytes for an address as text, with the 0 at its end */

/* Reads an address such as 127.0.0.1 or ::1, without brackets or a zone. */
bool network_read_address(const char *text, size_t n, NetworkAddress *address);

/* Reads an address, or one with the number of bits that count (RFC 4632 section 3.1, RFC 4291
   section 2.3). */
bool network_read(const char *text, size_t n, Network *network);

/* The address of an AF_INET or AF_INET6 socket address; false for other families. */
bool network_of(const struct sockaddr *socket, NetworkAddress *address);

/* Is it an IPv4 address? */
bool network_is_v4(const NetworkAddress *address);

/* Is the address in the network? One of IPv6 has no IPv4 addresses, even ::/0. */
bool network_has(const Network *network, const NetworkAddress *address);

#endif
