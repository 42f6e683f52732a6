#include "net/tls_hello.h"

#include <string.h>

enum { CHANGE_CIPHER_SPEC = 20, HANDSHAKE = 22, CLIENT_HELLO = 1 };

/* Takes up to `most` of the bytes. */
static size_t take(const char **p, const char *end, size_t most) {
  size_t n = (size_t)(end - *p) < most ? (size_t)(end - *p) : most;
  *p += n;
  return n;
}

/* The head of a record is there. */
static void begin_record(TlsHello *h) {
  h->n_record = 0;
  h->record_left = (uint16_t)(h->record[3] << 8 | h->record[4]);
  if (h->record[0] != HANDSHAKE && h->record[0] != CHANGE_CIPHER_SPEC) h->over = true;
}

/* That of a message is. */
static bool begin_message(TlsHello *h) {
  h->n_message = 0;
  h->message_left = (uint32_t)h->message[1] << 16 | (uint32_t)h->message[2] << 8 | h->message[3];
  if (h->message[0] != CLIENT_HELLO) h->over = true;
  return h->over || h->message_left <= TLS_HELLO_MAX;
}

bool tls_hello_look(TlsHello *h, const char *bytes, size_t n) {
  const char *p = bytes, *end = bytes + n;
  while (p < end && !h->over) {
    const char *from = p;
    if (!h->record_left) {
      size_t part = take(&p, end, TLS_HELLO_RECORD - h->n_record);
      memcpy(h->record + h->n_record, from, part);
      h->n_record += (uint8_t)part;
      if (h->n_record == TLS_HELLO_RECORD) begin_record(h);
      continue;
    }
    bool is_head = h->record[0] == HANDSHAKE && !h->message_left;
    size_t most = h->record_left, head = TLS_HELLO_MESSAGE - h->n_message;
    if (is_head && head < most) most = head;
    if (h->record[0] == HANDSHAKE && h->message_left && h->message_left < most)
      most = h->message_left;
    size_t part = take(&p, end, most);
    h->record_left -= (uint16_t)part;
    if (is_head) {
      memcpy(h->message + h->n_message, from, part);
      h->n_message += (uint8_t)part;
      if (h->n_message == TLS_HELLO_MESSAGE && !begin_message(h)) return false;
    } else if (h->record[0] == HANDSHAKE) {
      h->message_left -= (uint32_t)part;
      if (!h->message_left) h->has_one = true;
    }
  }
  return true;
}
