/* pg_connection.h: how much of a reply is kept. What is too large is refused while it comes; the
   server is told to end it, and the rest is dropped. */
#include "sql/pg/pg_pool.h"

/* Bytes of a message that has no rows. */
enum { MOST_WORDS = 16 << 20 };

bool pg_connection_is_large(const PgConnection *c, const PgCall *call, size_t size) {
  return size > c->pool->settings.max_result && !call->is_part && !call->is_setup;
}

void pg_connection_refuse_large(PgConnection *c, PgCall *call) {
  char why[SQL_ERROR_LARGE];
  sql_error_say_large(why, call->is_part, c->pool->settings.max_result);
  pg_connection_hold_for(c, call, false);
  pg_call_fail(call, "limit", NULL, "%s", why);
  call->kept = false;
}

static bool is_data(char type) { return type == 'D' || type == 'd'; }

static bool lose(PgConnection *c, bool is_row) {
  char why[SQL_ERROR_LARGE] = "what it says is too long";
  if (is_row) sql_error_say_large(why, true, c->pool->settings.max_result);
  pg_connection_lose(c, is_row ? "limit" : "network", is_row ? NULL : "EMSGSIZE", "%s", why);
  return false;
}

bool pg_connection_look_at_size(PgConnection *c) {
  PgInput *in = &c->in;
  PgCall *call = c->flying.first;
  size_t length = pg_reader_length(in), held = in->at - in->from;
  char type = length ? in->block->data[in->at] : 0;
  size_t most = is_data(type) ? c->pool->settings.max_result : MOST_WORDS;
  bool is_read = pg_connection_is_read(c), is_long = length > most;
  if (is_read && call && !c->is_copying_out &&
      ((is_long && is_data(type)) || pg_connection_is_large(c, call, held + length))) {
    pg_connection_refuse_large(c, call);
    pg_reader_skip(in);
    is_read = false;
    held = 0;
  }
  if (!is_read && (is_data(type) || type == 'N'))
    pg_reader_drop(in);
  else if (is_long || held > PG_READER_MAX)
    return lose(c, is_data(type));
  return true;
}
