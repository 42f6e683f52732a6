/* Scans statements of both dialects. What is found has to agree with what is sent: each place holds
   its `$n`, and a scan of the result finds the same places, and no names. So does a scan of what
   SQLite gets, where lists are looked up in JSON: what was said of each parameter's use is so. */
#include "sql/sql_text.h"
#include "sql/sqlite/sqlite_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void require(bool holds) {
  if (!holds) abort();
}

/* Is the place what json_each is called with? */
static bool is_list(const SqlText *text, const SqlPlace *place) {
  static const char before[] = " in (select value from json_each(";
  size_t n = sizeof before - 1, end = place->offset + place->len;
  return place->offset >= n && memcmp(text->text.data + place->offset - n, before, n) == 0 &&
         strncmp(text->text.data + end, "))", 2) == 0;
}

static void check_lists(const SqlText *first) {
  Buffer sql = {0};
  SqlText second = {0};
  SqlTextError error = {0};
  unsigned char *uses = calloc(first->parameters + 1, 1), *lists = calloc(first->parameters + 1, 2);
  require(uses && lists && sqlite_list_rewrite(first, &sql, uses));
  require(sql.len == 0 || !memchr(sql.data, 0, sql.len));
  require(sql_text_scan(&second, sql.len ? sql.data : "", sql.len, SQL_SQLITE, &error));
  require(second.place_count == first->place_count && second.several == first->several);
  unsigned char *values = lists + first->parameters + 1;
  for (unsigned i = 0; i < first->place_count; i++) {
    unsigned n = first->places[i].number;
    require(second.places[i].number == n);
    (is_list(&second, &second.places[i]) ? lists : values)[n - 1] = 1;
  }
  for (unsigned i = 0; i < first->parameters; i++) {
    if (uses[i] == SQLITE_LIST_ALWAYS) require(lists[i] && !values[i]);
    if (uses[i] == SQLITE_LIST_MIXED) require(lists[i] && values[i]);
  }
  buffer_free(&sql);
  sql_text_free(&second);
  free(uses);
  free(lists);
}

static void check(const char *sql, size_t len, SqlDialect dialect) {
  SqlText first = {0}, second = {0};
  SqlTextError error = {0};
  if (!sql_text_scan(&first, sql, len, dialect, &error)) {
    require(*error.message && error.offset <= len);
    sql_text_free(&first);
    return;
  }
  size_t end = 0;
  for (unsigned i = 0; i < first.place_count; i++) {
    SqlPlace place = first.places[i];
    char written[16];
    int n =
        snprintf(written, sizeof written, "%.*s", (int)place.len, first.text.data + place.offset);
    require(place.offset >= end && place.offset + place.len <= first.text.len);
    require(n == (int)place.len && *written == '$');
    require(strtoul(written + 1, NULL, 10) == place.number);
    require(place.number >= 1 && place.number <= first.parameters);
    if (first.names) require(first.names[place.number - 1].len > 0);
    end = place.offset + place.len;
  }
  require(first.text.data[first.text.len] == 0);
  require(sql_text_scan(&second, first.text.data, first.text.len, dialect, &error));
  require(!second.names && second.parameters == first.parameters);
  require(second.place_count == first.place_count && second.several == first.several);
  for (unsigned i = 0; i < first.place_count; i++)
    require(second.places[i].offset == first.places[i].offset);
  require(strcmp(first.keyword, second.keyword) == 0);
  if (dialect == SQL_SQLITE) check_lists(&first);
  sql_text_free(&first);
  sql_text_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *exact = malloc(size ? size : 1); /* so that ASan sees every read beyond the end */
  require(exact);
  memcpy(exact, data, size);
  check(exact, size, SQL_POSTGRES);
  check(exact, size, SQL_SQLITE);
  free(exact);
  return 0;
}
