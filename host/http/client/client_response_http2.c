/* Part of client_response.h: responses of HTTP/2 (RFC 9113 section 8), field by field. nghttp2 has
   refused what is against its rules: names in capitals or with other characters, fields of the
   connection, a Transfer-Encoding, a bad or second Content-Length, pseudo-headers out of place. */
#include "http/client/client_response.h"

#include <string.h>

static bool is_final(const ClientResponse *r) { return r->status >= 200; }

void client_response_begin_block(ClientResponse *r) {
  r->began = true;
  if (!r->head_read) r->status = 0;
}

void client_response_refuse(ClientResponse *r, const char *why) {
  client_response_malformed(r, why);
}

/* Three digits, as nghttp2 has checked. */
static bool set_status(ClientResponse *r, const char *value, size_t len) {
  if (len != 3) return !client_response_malformed(r, "malformed status in the response");
  for (size_t i = 0; i < 3; i++) r->status = r->status * 10 + (unsigned)(value[i] - '0');
  if (r->status < 100) return !client_response_malformed(r, "no status in the response");
  return true;
}

/* RFC 9110 section 8.6; nghttp2 has checked that it is one number of 63 bits. */
static void set_length(ClientResponse *r, const char *value, size_t len) {
  r->has_length = true;
  r->length = 0;
  for (size_t i = 0; i < len; i++) r->length = r->length * 10 + (uint64_t)(value[i] - '0');
}

bool client_response_field(ClientResponse *r, const char *name, size_t n, const char *value,
                           size_t len) {
  if (r->error || client_response_count_head(r, n + len)) return false;
  if (n && *name == ':') return r->head_read || set_status(r, value, len);
  if (client_response_count_field(r)) return false;
  if (r->head_read) return true; /* trailers */
  while (len && (*value == ' ' || *value == '\t')) value++, len--;
  Buffer *head = &r->head;
  r->name_at = head->len;
  if (!buffer_reserve(head, n + len + 4)) return !client_response_no_memory(r);
  buffer_add(head, name, n);
  buffer_add(head, ": ", 2);
  r->value_at = head->len;
  if (len) buffer_add(head, value, len);
  if (n == 14 && !memcmp(name, "content-length", 14)) set_length(r, value, len);
  return !client_response_end_field(r);
}

bool client_response_end_block(ClientResponse *r) {
  if (r->error) return false;
  if (r->head_read) return true;
  if (!is_final(r)) return !client_response_forget_head(r);
  r->head_read = true;
  if (client_response_has_no_body(r)) return true;
  return !client_response_open_body(r, r->has_length ? &r->length : NULL);
}

bool client_response_data(ClientResponse *r, const char *bytes, size_t n) {
  if (r->error) return false;
  return !client_response_add_body(r, bytes, n);
}

bool client_response_end_stream(ClientResponse *r) {
  if (r->error) return false;
  if (!r->head_read)
    return !client_response_malformed(r, "the stream has ended before the response");
  r->complete = true;
  return true;
}
