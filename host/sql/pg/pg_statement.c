#include "sql/pg/pg_statement.h"

#include "sql/pg/pg_wire.h"
#include <stdlib.h>
#include <string.h>

PgClass pg_statement_class(const char *keyword) {
  static const struct {
    const char *keyword;
    PgClass class;
  } known[] = {
      {"select", PG_QUERY},      {"insert", PG_QUERY},     {"update", PG_QUERY},
      {"delete", PG_QUERY},      {"with", PG_QUERY},       {"values", PG_QUERY},
      {"table", PG_QUERY},       {"merge", PG_QUERY},      {"show", PG_QUERY},
      {"begin", PG_CONTROL},     {"start", PG_CONTROL},    {"commit", PG_CONTROL},
      {"end", PG_CONTROL},       {"rollback", PG_CONTROL}, {"abort", PG_CONTROL},
      {"savepoint", PG_CONTROL}, {"release", PG_CONTROL},  {"prepare", PG_ALONE},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (!strcmp(known[i].keyword, keyword)) return known[i].class;
  return PG_ALONE;
}

static void take_out(PgStatements *all, PgStatement *s) {
  if (all->slots[s->slot] != s) return;
  if (s->newer)
    s->newer->older = s->older;
  else
    all->newest = s->older;
  if (s->older)
    s->older->newer = s->newer;
  else
    all->oldest = s->newer;
  all->slots[s->slot] = NULL;
  s->newer = s->older = NULL;
}

PgStatement *pg_statement_add(PgStatements *all, PgStatement *s) {
  PgStatement *out = NULL;
  if (all->count < PG_STATEMENTS) {
    s->slot = all->count++;
  } else {
    for (s->slot = 0; s->slot < PG_STATEMENTS && all->slots[s->slot]; s->slot++) {
    }
    if (s->slot == PG_STATEMENTS) {
      out = all->oldest;
      s->slot = out->slot;
      take_out(all, out);
    }
  }
  all->slots[s->slot] = s;
  s->serial = ++all->serials;
  s->newer = NULL;
  s->older = all->newest;
  if (s->older)
    s->older->newer = s;
  else
    all->oldest = s;
  all->newest = s;
  return out;
}

void pg_statement_clear(PgStatements *all, PgStatement *s) {
  if (s->serial) take_out(all, s);
  s->serial = 0;
  sql_text_free(&s->text);
}

const char *pg_statement_read_column(const PgMessage *message, size_t *at, uint32_t *oid,
                                     uint16_t *format) {
  const char *name = message->body + *at, *end = message->body + message->len;
  const char *stop = *at < message->len ? memchr(name, 0, (size_t)(end - name)) : NULL;
  if (!stop || end - stop < 19) return NULL;
  *oid = pg_wire_get32(stop + 7);
  *format = pg_wire_get16(stop + 17);
  *at = (size_t)(stop + 19 - message->body);
  return name;
}
