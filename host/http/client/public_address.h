/* Which addresses belong to the internet, and not to this machine, its networks or nobody: those
   that a request whose URL comes from a stranger may be sent to. */
#ifndef ML_PUBLIC_ADDRESS_H
#define ML_PUBLIC_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

/* `text[0..n)` is an address of either family, without brackets, perhaps with a zone. False for
   those that the registries of special addresses (RFC 6890) give to something else than hosts of
   the internet, for addresses of IPv6 that lead to such ones of IPv4 (IPv4-mapped, NAT64 of RFC
   6052, 6to4 of RFC 3056), for those with a zone, and for other texts. From any thread. */
bool public_address(const char *text, size_t n);

#endif
