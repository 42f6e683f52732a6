#include "sql/sql_slow.h"

#include "core/report.h"

enum { SHOWN = 500 };

void sql_slow_report(Runtime *rt, double seconds, const char *sql, size_t len) {
  char shown[SHOWN + 1];
  size_t n = 0, i = 0;
  bool space = false;
  for (; i < len && n + 2 <= SHOWN; i++) {
    unsigned char c = (unsigned char)sql[i];
    if (c > ' ') {
      if (space && n) shown[n++] = ' ';
      shown[n++] = (char)c;
    }
    space = c <= ' ';
  }
  bool cut = i < len;
  while (cut && n && ((unsigned char)shown[n - 1] & 0x80)) n--; /* no half of a character */
  shown[n] = 0;
  report_sayf(rt, LOG_WARN, "slow query (%.2f s): %s%s", seconds, shown, cut ? "..." : "");
}
