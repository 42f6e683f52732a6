#include "http/server/proxy_protocol.h"

#include <arpa/inet.h>
#include <string.h>

static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";
enum { SIGNATURE = sizeof signature - 1, TLV_CRC32C = 0x03 };

/* --- version 1 --- */

/* The next word of a line, which one space ends. False: there is none. */
static bool next_word(const char **at, const char *end, const char **word, size_t *n) {
  const char *space = memchr(*at, ' ', (size_t)(end - *at));
  *word = *at;
  *n = (size_t)((space ? space : end) - *at);
  *at = space ? space + 1 : end;
  return *n > 0;
}

static bool read_port(const char *word, size_t n, in_port_t *port) {
  unsigned number = 0;
  if (n > 5 || (n > 1 && *word == '0')) return false;
  for (size_t i = 0; i < n; i++) {
    if (word[i] < '0' || word[i] > '9') return false;
    number = number * 10 + (unsigned)(word[i] - '0');
  }
  *port = htons((uint16_t)number);
  return number <= 65535;
}

static bool read_address(int family, const char *word, size_t n, void *address) {
  char text[INET6_ADDRSTRLEN];
  if (n >= sizeof text || memchr(word, 0, n)) return false;
  memcpy(text, word, n);
  text[n] = 0;
  return inet_pton(family, text, address) == 1;
}

/* Two addresses and two ports, with one space between them. */
static bool read_words(ProxyProtocol *p, bool is_v6, const char *at, const char *end) {
  const char *words[4];
  size_t lengths[4];
  struct in6_addr destination;
  in_port_t port;
  for (int i = 0; i < 4; i++) {
    if (!next_word(&at, end, &words[i], &lengths[i])) return false;
    if (i < 3 && at == end) return false;
  }
  if (at != end || end[-1] == ' ') return false;
  sa_family_t family = is_v6 ? AF_INET6 : AF_INET;
  void *address = is_v6 ? (void *)&p->source.v6.sin6_addr : (void *)&p->source.v4.sin_addr;
  p->source.any.sa_family = family;
  p->has_source = true;
  return read_address(family, words[0], lengths[0], address) &&
         read_address(family, words[1], lengths[1], &destination) &&
         read_port(words[2], lengths[2],
                   is_v6 ? &p->source.v6.sin6_port : &p->source.v4.sin_port) &&
         read_port(words[3], lengths[3], &port);
}

static bool read_line(ProxyProtocol *p) {
  const char *line = (const char *)p->head, *end = line + p->seen - 2;
  static const char v4[] = "PROXY TCP4 ", v6[] = "PROXY TCP6 ", unknown[] = "PROXY UNKNOWN";
  size_t n = (size_t)(end - line);
  if (n > sizeof v4 - 1 && !memcmp(line, v4, sizeof v4 - 1))
    return read_words(p, false, line + sizeof v4 - 1, end);
  if (n > sizeof v6 - 1 && !memcmp(line, v6, sizeof v6 - 1))
    return read_words(p, true, line + sizeof v6 - 1, end);
  /* What follows UNKNOWN is to be ignored. */
  return n >= sizeof unknown - 1 && !memcmp(line, unknown, sizeof unknown - 1) &&
         (n == sizeof unknown - 1 || line[sizeof unknown - 1] == ' ');
}

static ProxyProgress feed_line(ProxyProtocol *p, uint8_t c) {
  static const char start[] = "PROXY ";
  if (p->seen < sizeof start - 1 && c != (uint8_t)start[p->seen]) return PROXY_BAD;
  p->head[p->seen++] = c;
  bool is_ended = c == '\n' && p->seen > 1 && p->head[p->seen - 2] == '\r';
  if (is_ended) return read_line(p) ? PROXY_DONE : PROXY_BAD;
  return p->seen < PROXY_LINE_MAX ? PROXY_MORE : PROXY_BAD;
}

/* --- version 2 --- */

/* Castagnoli's polynomial, reversed; headers are too short for tables to matter. */
static uint32_t crc_add(uint32_t crc, uint8_t byte) {
  crc ^= byte;
  for (int i = 0; i < 8; i++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
  return crc;
}

static uint32_t size_after_fixed(const ProxyProtocol *p) {
  return (uint32_t)p->head[14] << 8 | p->head[15];
}

static bool is_local(const ProxyProtocol *p) { return (p->head[12] & 15) == 0; }

/* Bytes of the two addresses: LOCAL and a family without a name have none that count. */
static uint32_t size_of_addresses(const ProxyProtocol *p) {
  switch (p->head[13] >> 4) {
  case 1:
    return 12;
  case 2:
    return 36;
  case 3:
    return 216;
  default:
    return 0;
  }
}

/* Is what follows the fixed part to be ignored as a whole? */
static bool is_ignored(const ProxyProtocol *p) { return is_local(p) || p->head[13] >> 4 == 0; }

static bool check_fixed(const ProxyProtocol *p) {
  uint8_t version = p->head[12], family = p->head[13];
  if (version != 0x20 && version != 0x21) return false;
  if (is_local(p)) return true;
  return family >> 4 <= 3 && (family & 15) <= 2 && size_after_fixed(p) >= size_of_addresses(p);
}

static void take_addresses(ProxyProtocol *p) {
  const uint8_t *at = p->head + PROXY_FIXED;
  p->has_source = true;
  switch (p->head[13] >> 4) {
  case 1:
    p->source.any.sa_family = AF_INET;
    memcpy(&p->source.v4.sin_addr, at, 4);
    memcpy(&p->source.v4.sin_port, at + 8, 2);
    break;
  case 2:
    p->source.any.sa_family = AF_INET6;
    memcpy(&p->source.v6.sin6_addr, at, 16);
    memcpy(&p->source.v6.sin6_port, at + 32, 2);
    break;
  default:
    p->source.any.sa_family = AF_UNIX;
  }
}

/* The byte belongs to the TLVs. Returns the byte that the checksum has in its place; false in *ok
   if there can be no such TLV. */
static uint8_t feed_tlv(ProxyProtocol *p, uint8_t c, uint32_t left, bool *ok) {
  uint16_t at = p->tlv_seen++;
  if (at == 0) {
    p->type = c;
  } else if (at == 1) {
    p->tlv_size = (uint16_t)(c << 8);
  } else if (at == 2) {
    p->tlv_size |= c;
    if (p->tlv_size > left) *ok = false;
    if (p->type == TLV_CRC32C && (p->has_sum || p->tlv_size != 4)) *ok = false;
    if (p->type == TLV_CRC32C) p->has_sum = true;
  } else if (p->type == TLV_CRC32C) {
    p->sum = p->sum << 8 | c;
    c = 0;
  }
  if (p->tlv_seen >= 3 && p->tlv_seen == p->tlv_size + 3) p->tlv_seen = 0;
  return c;
}

static ProxyProgress feed_binary(ProxyProtocol *p, uint8_t c) {
  uint32_t at = p->seen++;
  if (at < SIGNATURE && c != (uint8_t)signature[at]) return PROXY_BAD;
  if (at < PROXY_FIXED) {
    p->head[at] = c;
    if (p->seen == PROXY_FIXED && !check_fixed(p)) return PROXY_BAD;
  }
  if (p->seen < PROXY_FIXED) {
    p->crc = crc_add(at ? p->crc : ~0u, c);
    return PROXY_MORE;
  }
  uint32_t size = PROXY_FIXED + size_after_fixed(p);
  uint32_t tlvs = PROXY_FIXED + size_of_addresses(p);
  bool ok = true;
  if (at >= PROXY_FIXED && !is_ignored(p)) {
    if (at < tlvs)
      p->head[at] = c;
    else
      c = feed_tlv(p, c, size - p->seen, &ok);
  }
  p->crc = crc_add(p->crc, c);
  if (!ok) return PROXY_BAD;
  if (p->seen < size) return PROXY_MORE;
  if (is_ignored(p)) return PROXY_DONE;
  if (p->tlv_seen || (p->has_sum && ~p->crc != p->sum)) return PROXY_BAD;
  take_addresses(p);
  return PROXY_DONE;
}

/* --- both --- */

ProxyProgress proxy_protocol_feed(ProxyProtocol *p, const char *bytes, size_t n, size_t *used) {
  for (size_t i = 0; i < n; i++) {
    uint8_t c = (uint8_t)bytes[i];
    bool is_line = p->seen ? p->head[0] == 'P' : c == 'P';
    ProxyProgress progress = is_line ? feed_line(p, c) : feed_binary(p, c);
    if (progress == PROXY_MORE) continue;
    *used = i + 1;
    return progress;
  }
  *used = n;
  return PROXY_MORE;
}
