#include "http/client/public_address.h"

#include "net/network.h"
#include <string.h>

static const char *const special_v4[] = {
    "0.0.0.0/8",        /* this network; 0.0.0.0 is this machine */
    "10.0.0.0/8",       /* private */
    "100.64.0.0/10",    /* shared by the customers of a provider */
    "127.0.0.0/8",      /* this machine */
    "169.254.0.0/16",   /* link-local, with the metadata of clouds */
    "168.63.129.16/32", /* of a cloud, to its machines, with what they are to keep secret */
    "172.16.0.0/12",    /* private */
    "192.0.0.0/24",     /* protocols */
    "192.0.2.0/24",     /* documentation */
    "192.88.99.0/24",   /* relays of 6to4 */
    "192.168.0.0/16",   /* private */
    "198.18.0.0/15",    /* measurements */
    "198.51.100.0/24",  /* documentation */
    "203.0.113.0/24",   /* documentation */
    "224.0.0.0/4",      /* multicast */
    "240.0.0.0/4",      /* reserved, and broadcast */
};

static const char *const special_v6[] = {
    "2001::/23",     /* protocols; Teredo leads to any address of IPv4 */
    "2001:db8::/32", /* documentation */
    "3fff::/20",     /* documentation */
};

/* Addresses that have one of IPv4 inside, from this byte on. */
static const struct {
  const char *network;
  unsigned from;
} carriers[] = {{"64:ff9b::/96", 12}, {"2002::/16", 2}};

/* The interface of an address that has one of IPv4 behind it, whatever its network (ISATAP, RFC
   5214 section 6.1); the first byte has a bit that may be set. */
static bool has_isatap(const NetworkAddress *address) {
  static const unsigned char marks[] = {0, 0, 0x5e, 0xfe};
  const unsigned char *p = address->bytes + 8;
  return (p[0] & ~2) == marks[0] && !memcmp(p + 1, marks + 1, 3);
}

static bool is_in(const char *text, const NetworkAddress *address) {
  Network network;
  return network_read(text, strlen(text), &network) && network_has(&network, address);
}

static bool is_in_any(const char *const *list, size_t n, const NetworkAddress *address) {
  for (size_t i = 0; i < n; i++)
    if (is_in(list[i], address)) return true;
  return false;
}

#define IS_IN_ANY(list, address) is_in_any(list, sizeof(list) / sizeof *(list), address)

/* Is the address of IPv4 public that begins with this byte? */
static bool is_public_inside(const NetworkAddress *address, unsigned from) {
  NetworkAddress inside = {.bytes = {[10] = 0xff, [11] = 0xff}};
  memcpy(inside.bytes + 12, address->bytes + from, 4);
  return !IS_IN_ANY(special_v4, &inside);
}

static bool is_public(const NetworkAddress *address) {
  if (network_is_v4(address)) return !IS_IN_ANY(special_v4, address);
  if (has_isatap(address) && !is_public_inside(address, 12)) return false;
  for (size_t i = 0; i < sizeof carriers / sizeof *carriers; i++) {
    if (!is_in(carriers[i].network, address)) continue;
    return is_public_inside(address, carriers[i].from);
  }
  /* All others that have been given to hosts are in this network. */
  return is_in("2000::/3", address) && !IS_IN_ANY(special_v6, address);
}

bool public_address(const char *text, size_t n) {
  NetworkAddress address;
  return network_read_address(text, n, &address) && is_public(&address);
}
