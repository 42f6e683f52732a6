/* Feeds texts to the formats of schemas and to Lua's patterns: a text either fits or is said not
   to, addresses are those that the system takes, and a date that fits is a point in time. The first
   byte chooses; behind a pattern stands a line end and the text. */
#include "fuzz.h"
#include "schema/schema_format.h"
#include "schema/schema_pattern.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static bool is_address(int family, const char *text, size_t size) {
  unsigned char address[16];
  char name[INET6_ADDRSTRLEN + 1];
  if (size >= sizeof name || memchr(text, 0, size)) return false;
  memcpy(name, text, size);
  name[size] = 0;
  return inet_pton(family, name, address) == 1;
}

static void check_format(SchemaFormat format, const char *text, size_t size) {
  const char *detail = NULL;
  const char *wrong = schema_format_check(format, text, size, &detail);
  if (wrong) {
    check(*wrong);
    return;
  }
  if (format == SCHEMA_FORMAT_IPV4) check(is_address(AF_INET, text, size));
  if (format == SCHEMA_FORMAT_IPV6) check(is_address(AF_INET6, text, size));
  if (format == SCHEMA_FORMAT_UUID) check(size == 36);
  if (format == SCHEMA_FORMAT_HOSTNAME) check(size && size <= 253);
  if (format == SCHEMA_FORMAT_DATETIME) check(isfinite(schema_format_unix(text, size)));
  if (format != SCHEMA_FORMAT_NONE && format != SCHEMA_FORMAT_JSON_POINTER)
    check(!memchr(text, '\n', size) && !memchr(text, 0, size));
}

static void check_pattern(const char *text, size_t size) {
  const char *line_end = size ? memchr(text, '\n', size) : NULL;
  if (!line_end) return;
  size_t n = (size_t)(line_end - text), rest = size - n - 1;
  int64_t steps = 0, again = 0;
  bool found = schema_pattern_lua_matches(text, n, line_end + 1, rest, &steps);
  check(found == schema_pattern_lua_matches(text, n, line_end + 1, rest, &again));
  check(steps == again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!size) return 0;
  size_t n = size - 1;
  char *text = exact_copy(data + 1, n);
  unsigned kind = data[0] % (SCHEMA_FORMAT_JSON_POINTER + 2u);
  if (kind > SCHEMA_FORMAT_JSON_POINTER)
    check_pattern(text, n);
  else
    check_format((SchemaFormat)kind, text, n);
  free(text);
  return 0;
}
