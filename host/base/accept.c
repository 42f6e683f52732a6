#include "base/accept.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

int accept_weight(const char **at, const char *end) {
  const char *p = *at;
  if (p == end || (*p != '0' && *p != '1')) return -1;
  int weight = (*p++ - '0') * ACCEPT_WHOLE;
  if (p < end && *p == '.') {
    p++;
    for (int unit = 100; unit && p < end && *p >= '0' && *p <= '9'; unit /= 10)
      weight += (*p++ - '0') * unit;
  }
  *at = p;
  return weight <= ACCEPT_WHOLE ? weight : -1;
}

static const char *find(const char *p, const char *end, char c) {
  while (p < end && *p != c) p++;
  return p;
}

/* The weight of a range whose parameters, each behind a ';', begin at `p`. */
static int weight_of(const char *p, const char *end) {
  while ((p = find(p, end, ';')) < end) {
    p++;
    while (p < end && is_blank(*p)) p++;
    if (end - p < 2 || (*p != 'q' && *p != 'Q') || p[1] != '=') continue;
    p += 2;
    int weight = accept_weight(&p, end);
    return weight < 0 ? 0 : weight;
  }
  return ACCEPT_WHOLE;
}

int accept_media(const char *accept, size_t n, const char *type) {
  int most = 0;
  const char *end = n ? accept + n : accept;
  for (const char *p = accept; p < end; p++) {
    const char *comma = find(p, end, ',');
    while (p < comma && is_blank(*p)) p++;
    const char *parameters = find(p, comma, ';'), *last = parameters;
    while (last > p && is_blank(last[-1])) last--;
    if ((size_t)(last - p) == strlen(type) && !strncasecmp(p, type, strlen(type))) {
      int weight = weight_of(parameters, comma);
      if (weight > most) most = weight;
    }
    p = comma;
  }
  return most;
}
