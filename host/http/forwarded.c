#include "http/forwarded.h"

#include "http/http_header.h"

#include <string.h>

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

static void skip_blanks(const char **at, const char *end) {
  while (*at < end && is_blank(**at)) (*at)++;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_alnum(char c) { return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'); }

static bool is_token_char(char c) { return is_alnum(c) || (c && strchr("!#$%&'*+-.^_`|~", c)); }

/* --- Forwarded --- */

static bool read_token(const char **at, const char *end, ForwardedText *token) {
  token->text = *at;
  while (*at < end && is_token_char(**at)) (*at)++;
  token->len = (size_t)(*at - token->text);
  return token->len > 0;
}

/* A quoted string (RFC 9110 section 5.6.4). */
static bool read_quoted(const char **at, const char *end, ForwardedText *value, bool *escapes) {
  value->text = ++*at;
  for (; *at < end && **at != '"'; (*at)++) {
    if (**at != '\\') continue;
    *escapes = true;
    if (++*at == end) return false;
  }
  if (*at == end) return false;
  value->len = (size_t)(*at - value->text);
  ++*at;
  return true;
}

/* Where the value of the parameter is kept, or NULL. */
static ForwardedText *place_of(ForwardedElement *element, const ForwardedText *name) {
  if (http_header_is(name->text, name->len, "for")) return &element->node;
  if (http_header_is(name->text, name->len, "proto")) return &element->proto;
  if (http_header_is(name->text, name->len, "host")) return &element->host;
  return NULL;
}

/* name "=" value. An unknown parameter is passed over. */
static bool read_pair(const char **at, const char *end, ForwardedElement *element) {
  ForwardedText name, value;
  bool escapes = false;
  if (!read_token(at, end, &name) || *at == end || **at != '=') return false;
  ++*at;
  bool is_read = *at < end && **at == '"' ? read_quoted(at, end, &value, &escapes)
                                          : read_token(at, end, &value);
  if (!is_read) return false;
  ForwardedText *place = place_of(element, &name);
  if (!place) return true;
  if (place->text || escapes || !value.len) return false;
  *place = value;
  return true;
}

ForwardedResult forwarded_next(const char **at, const char *end, ForwardedElement *element) {
  *element = (ForwardedElement){0};
  for (;; ++*at) { /* a list may have empty elements: RFC 9110 section 5.6.1.2 */
    skip_blanks(at, end);
    if (*at == end) return FORWARDED_END;
    if (**at != ',') break;
  }
  for (;;) {
    skip_blanks(at, end);
    if (*at < end && **at != ';' && **at != ',' && !read_pair(at, end, element))
      return FORWARDED_BAD;
    skip_blanks(at, end);
    if (*at == end) return FORWARDED_ELEMENT;
    char c = *(*at)++;
    if (c == ',') return FORWARDED_ELEMENT;
    if (c != ';') return FORWARDED_BAD;
  }
}

/* --- nodes --- */

/* "_" and letters, digits, ".", "_", "-" (RFC 7239 section 6.3). */
static bool is_obfuscated(const char *text, size_t n) {
  if (n < 2 || *text != '_') return false;
  for (size_t i = 1; i < n; i++)
    if (!is_alnum(text[i]) && text[i] != '.' && text[i] != '_' && text[i] != '-') return false;
  return true;
}

/* One to five digits, or a hidden one. */
static bool read_port(const char *text, const char *end, uint16_t *port) {
  size_t n = (size_t)(end - text);
  unsigned number = 0;
  if (is_obfuscated(text, n)) return true;
  if (n < 1 || n > 5) return false;
  for (; text < end; text++) {
    if (!is_digit(*text)) return false;
    number = number * 10 + (unsigned)(*text - '0');
  }
  *port = (uint16_t)number;
  return number <= 65535;
}

bool forwarded_node(ForwardedText text, bool bare, ForwardedNode *node) {
  const char *at = text.text, *end = text.len ? at + text.len : at;
  *node = (ForwardedNode){0};
  if (at == end) return false;
  const char *colon = memchr(at, ':', text.len);
  if (*at == '[') {
    const char *bracket = memchr(at, ']', text.len);
    if (!bracket) return false;
    node->address = (ForwardedText){at + 1, (size_t)(bracket - at - 1)};
    if (!node->address.len || !memchr(at, ':', (size_t)(bracket - at))) return false;
    return ++bracket == end || (*bracket == ':' && read_port(bracket + 1, end, &node->port));
  }
  if (bare && colon && memchr(colon + 1, ':', (size_t)(end - colon - 1))) {
    node->address = text;
    return true;
  }
  if (colon && !read_port(colon + 1, end, &node->port)) return false;
  size_t n = (size_t)((colon ? colon : end) - at);
  ForwardedText name = {at, n};
  if (http_header_is(at, n, "unknown") || is_obfuscated(at, n))
    node->name = name;
  else
    node->address = name;
  return n > 0;
}

bool forwarded_item(const char **at, const char *end, ForwardedText *item) {
  for (;;) {
    skip_blanks(at, end);
    if (*at == end) return false;
    const char *comma = memchr(*at, ',', (size_t)(end - *at));
    const char *stop = comma ? comma : end;
    *item = (ForwardedText){*at, (size_t)(stop - *at)};
    *at = comma ? comma + 1 : end;
    while (item->len && is_blank(item->text[item->len - 1])) item->len--;
    if (item->len) return true;
  }
}
