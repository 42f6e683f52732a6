/* The keys of session tickets: two at a time, the current one and the one before it. They are the
   process's; the workers of a server share those of their supervisor. */
#ifndef ML_TLS_TICKETS_H
#define ML_TLS_TICKETS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  TLS_TICKET_NAME = 16,
  TLS_TICKET_PERIOD = 3600 /* seconds: a key makes tickets for this long, and reads them for as long
                              again. A ticket is good for the same time */
};

typedef struct TlsTicketKey {
  uint8_t name[TLS_TICKET_NAME], cipher[32], mac[32];
  uint64_t made; /* monotonic nanoseconds */
} TlsTicketKey;

/* May lie in memory that processes share: one of them writes. Readers need no lock, since the place
   that is written is neither the current key nor the one before. */
typedef struct TlsTicketKeys {
  _Atomic uint32_t count; /* how many there were; the current one is the last */
  TlsTicketKey keys[3];
} TlsTicketKeys;

/* Makes a new key the current one. */
void tls_tickets_rotate(TlsTicketKeys *keys);

/* Makes the process use these keys, which somebody else rotates, instead of its own. Before the
   first ticket. */
void tls_tickets_share(TlsTicketKeys *keys);

/* The current key, and the one with this name or NULL; `*is_old`: it is not the current one. From
   any thread. */
const TlsTicketKey *tls_tickets_current(void);
const TlsTicketKey *tls_tickets_find(const uint8_t name[static TLS_TICKET_NAME], int *is_old);

#endif
