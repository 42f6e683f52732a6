#include "http/client/client_tunnel.h"

#include <stdbool.h>
#include <string.h>

enum { MOST_ANSWER = 16 * 1024 }; /* bytes, with those of interim answers */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* "HTTP/1.1 200" and a blank or the line's end, as far as it has come. */
static bool begins_well(const char *line, size_t n) {
  static const char pattern[] = "HTTP/1.# ### ";
  for (size_t i = 0; i < n && pattern[i]; i++) {
    if (pattern[i] == '#' ? is_digit(line[i]) : line[i] == pattern[i]) continue;
    return i == sizeof pattern - 2 && line[i] == '\r';
  }
  return true;
}

static ClientTunnelAnswer wrong(const char *what) {
  return (ClientTunnelAnswer){.state = CLIENT_TUNNEL_WRONG, .wrong = what};
}

ClientTunnelAnswer client_tunnel_read(const char *bytes, size_t n) {
  const char *line = bytes;
  for (size_t left = n;;) {
    if (!begins_well(line, left)) return wrong("answers with something that is not HTTP");
    const char *end = left ? memmem(line, left, "\r\n\r\n", 4) : NULL;
    if (!end && n >= MOST_ANSWER) return wrong("answers with a head that is too large");
    if (!end) return (ClientTunnelAnswer){.state = CLIENT_TUNNEL_MORE};
    size_t len = (size_t)(end - line);
    bool is_interim = line[9] == '1' && strncmp(line + 9, "101", 3) != 0;
    if (!is_interim && line[9] != '2')
      return (ClientTunnelAnswer){.state = CLIENT_TUNNEL_REFUSED, .line = line, .n = len};
    line = end + 4;
    left -= len + 4;
    if (is_interim) continue;
    if (left) return wrong("sends something before the server can have spoken");
    return (ClientTunnelAnswer){.state = CLIENT_TUNNEL_OPEN};
  }
}
