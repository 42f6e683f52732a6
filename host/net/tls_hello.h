/* What a client says in clear before a handshake, looked at before OpenSSL sees it. OpenSSL makes
   room for a ClientHello as soon as its first bytes have come, and as much as they say: 131 kB, for
   13 bytes. */
#ifndef ML_TLS_HELLO_H
#define ML_TLS_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  TLS_HELLO_MAX = 16 * 1024, /* bytes of a ClientHello; clients send 200 to 2000 */
  TLS_HELLO_RECORD = 5,      /* bytes of a record's head, and of a message's */
  TLS_HELLO_MESSAGE = 4
};

/* All zero at first. */
typedef struct TlsHello {
  uint8_t record[TLS_HELLO_RECORD], message[TLS_HELLO_MESSAGE];
  uint8_t n_record, n_message; /* bytes of these that have come */
  bool has_one;                /* a message is complete */
  bool over;                   /* no ClientHello can follow */
  uint16_t record_left;
  uint32_t message_left;
} TlsHello;

/* The next bytes of a client, before `over`. False: a message is longer than TLS_HELLO_MAX.
   The records of TLS 1.3 which may stand between two ClientHellos are passed over (RFC 8446
   section 4.1.4 and appendix D.4). */
bool tls_hello_look(TlsHello *hello, const char *bytes, size_t n);

#endif
