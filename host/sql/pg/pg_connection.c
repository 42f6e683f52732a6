#include "sql/pg/pg_connection.h"

#include "sql/pg/pg_pool.h"
#include "sql/pg/pg_wire.h"
#include <stdio.h>
#include <stdlib.h>

enum { MOST_UNREAD = 256 << 10, MOST_NOTES = 1 << 20 };

static Runtime *runtime(const PgConnection *c) { return c->pool->rt; }

/* --- what comes --- */

static void keep_note(PgConnection *c, const PgMessage *m) {
  if (m->len < 6 || !c->listens) return;
  const char *channel = m->body + 4, *end = m->body + m->len;
  const char *stop = memchr(channel, 0, (size_t)(end - channel));
  const char *last = stop && stop + 1 < end ? memchr(stop + 1, 0, (size_t)(end - stop - 1)) : NULL;
  if (!last) return;
  size_t n = (size_t)(stop - channel), payload = (size_t)(last - stop - 1);
  PgNote *note = malloc(sizeof *note + n + payload);
  if (!note) return;
  c->note_bytes += sizeof *note + n + payload;
  *note = (PgNote){.pid = pg_wire_get32(m->body), .channel_len = n, .payload_len = payload};
  memcpy(note->bytes, channel, n);
  memcpy(note->bytes + n, stop + 1, payload);
  *c->last_note = note;
  c->last_note = &note->next;
  if (!c->is_copying_in) pg_connection_wake_reader(c);
}

static void keep_why(PgConnection *c, const PgMessage *m) {
  const char *code = pg_reader_field(m, 'C'), *text = pg_reader_field(m, 'M');
  snprintf(c->why_kind, sizeof c->why_kind, "%s", code ? sql_error_kind(code) : "network");
  snprintf(c->why_code, sizeof c->why_code, "%s", code ? code : "");
  snprintf(c->why, sizeof c->why, "%s", text ? text : "?");
}

static void note_error(PgConnection *c, const PgMessage *m) {
  const char *severity = pg_reader_field(m, 'V'), *code = pg_reader_field(m, 'C');
  if (c->flying.first) c->flying.first->has_error = true;
  if (severity && (!strcmp(severity, "FATAL") || !strcmp(severity, "PANIC"))) keep_why(c, m);
  if (code && !c->error_code[0]) snprintf(c->error_code, sizeof c->error_code, "%s", code);
}

/* Another call's cancel has hit it, and it has done nothing: it is sent again. */
static bool repeats(PgConnection *c, PgCall *call) {
  if (!call->awaited || !call->at_risk || !call->may_repeat || call->repeats >= 5 ||
      strcmp(c->error_code, "57014") != 0)
    return false;
  call->repeats++;
  call->at_risk = false;
  c->pool->repeats++;
  return true;
}

static void settle(PgConnection *c) {
  if (pg_connection_is_whole(c) && (!c->is_leased || c->is_releasing)) pg_pool_settled(c);
  pg_pool_wake(c->pool);
}

/* The reply of the first call is complete. */
static void complete(PgConnection *c) {
  PgCall *call = pg_call_shift(&c->flying);
  PgSlice reply = pg_reader_take(&c->in);
  if (call->parses && !c->parse_ok) c->prepared[call->statement_slot] = 0;
  bool again = repeats(c, call);
  c->parse_ok = c->command_over = false;
  c->error_code[0] = 0;
  c->cancels = 0;
  if (!c->cancel) timer_clear(&runtime(c)->timers, &c->drain);
  call->in_flight = false;
  pg_connection_hold_for(c, call, false);
  if (again) {
    pg_reader_release(&reply);
    pg_pool_again(c->pool, call);
  } else if (pg_connection_is_large(c, call, reply.to - reply.from)) {
    pg_reader_release(&reply);
    pg_connection_refuse_large(c, call);
  } else if (call->awaited || call->kept) {
    call->reply = reply;
    if (call->awaited) ml_wait_wake(call->waker);
    call->awaited = false;
  } else {
    pg_reader_release(&reply);
  }
  if (call->is_setup && c->state == PG_SETUP) {
    c->state = PG_OPEN;
    pg_pool_opened(c);
  }
  pg_call_drop(call);
  settle(c);
}

static void begin_copy_in(PgConnection *c, PgCall *call) {
  c->is_open_ended = true;
  if (call->until == PG_UNTIL_PART) {
    c->is_copying_in = true;
    complete(c);
    return;
  }
  static const char why[] = "COPY FROM STDIN takes its data from copy_in";
  bool ok = pg_wire_text(&c->out, 'f', why, sizeof why - 1) &&
            (call->is_simple || pg_wire_bare(&c->out, 'S'));
  if (ok)
    pg_pool_wake(c->pool);
  else
    pg_connection_lose(c, "network", "ENOMEM", "not enough memory");
}

bool pg_connection_is_read(const PgConnection *c) {
  const PgCall *call = c->flying.first;
  return call ? !pg_connection_is_unwanted(call) && !call->is_setup : c->is_copying_out;
}

static void take(PgConnection *c, const PgMessage *m) {
  PgCall *call = c->flying.first;
  switch (m->type) {
  case 'Z':
    if (m->len) c->status = *m->body;
    if (c->is_copying_in) pg_connection_wake_reader(c); /* there is nothing to wait for any more */
    c->is_open_ended = c->is_copying_in = false;
    if (call) {
      complete(c);
      return;
    }
    settle(c);
    break;
  case 'A':
    keep_note(c, m);
    break;
  case 'E':
    note_error(c, m);
    if (!call || call->until != PG_UNTIL_PART || call->is_simple) break;
    c->is_open_ended = true;
    complete(c);
    return;
  case 'D':
    if (m->len > c->pool->settings.max_result && call && pg_connection_is_read(c))
      pg_connection_refuse_large(c, call);
    break;
  case '1':
    c->parse_ok = true;
    break;
  case 's':
  case 'C':
  case 'I':
    c->command_over = true;
    if (!call || call->until != PG_UNTIL_PART || call->is_simple) break;
    c->is_open_ended = true;
    complete(c);
    return;
  case 'H':
    if (!call || call->until != PG_UNTIL_PART) break;
    c->is_open_ended = c->is_copying_out = true;
    complete(c);
    return;
  case 'G':
    if (call) begin_copy_in(c, call);
    return;
  default:
    break;
  }
  if (!pg_connection_is_read(c)) pg_reader_skip(&c->in);
}

void pg_connection_note_taken(PgConnection *c, size_t n) {
  c->note_bytes -= n;
  if (c->note_bytes <= MOST_NOTES / 2 && !c->is_copying_out) pg_connection_pause(c, false);
}

/* Has whoever reads it so much before it that the server should wait? */
static bool has_enough(const PgConnection *c) {
  if (c->is_copying_out) return c->in.at - c->in.from > MOST_UNREAD;
  return c->note_bytes > MOST_NOTES;
}

static void look_after(PgConnection *c) {
  PgCall *call = c->flying.first;
  if (!call && has_enough(c)) pg_connection_pause(c, true);
  if (call && call->until == PG_UNTIL_ANY && c->in.at > c->in.from) complete(c);
  call = c->flying.first;
  if (call && pg_connection_is_unwanted(call) && !c->cancel && !c->cancels)
    pg_connection_cancel_first(c);
}

void pg_connection_take_there(PgConnection *c) { look_after(c); }

bool pg_connection_take(PgConnection *c) {
  PgMessage m;
  PgFound found;
  while ((found = pg_reader_next(&c->in, &m)) == PG_READER_MESSAGE) {
    take(c, &m);
    if (c->state == PG_CLOSED) return false;
  }
  if (found == PG_READER_BAD) {
    pg_connection_lose(c, "network", "EPROTO", "what it says is not PostgreSQL's protocol");
    return false;
  }
  if (!pg_connection_look_at_size(c)) return false;
  look_after(c);
  return c->state != PG_CLOSED;
}

static void on_deadline(Timer *timer) {
  PgConnection *c = container_of(timer, PgConnection, deadline);
  Runtime *rt = runtime(c);
  double seconds = c->pool->settings.timeout;
  /* The loop looks at its timers first. After a pass that took long, the answer may be there. */
  if (!c->is_paused && !pg_connection_read(c)) return;
  uint64_t now = runtime_now(rt), next = TIMER_NEVER;
  for (PgCall *call = c->flying.first; call; call = call->next) {
    if (!call->awaited || call->unlimited) continue;
    uint64_t due = timer_due(call->since, seconds);
    if (due > now) {
      next = due;
      break;
    }
    pg_connection_hold_for(c, call, false);
    pg_call_fail(call, "timeout", NULL, "the statement was not done within %g s", seconds);
  }
  if (next != TIMER_NEVER) timer_set(&rt->timers, &c->deadline, next, on_deadline);
  look_after(c);
}

/* Parse, before the call's own bytes, where the connection has not prepared its statement. */
static bool prepare(PgConnection *c, PgCall *call) {
  PgStatement *s = call->statement;
  if (!call->is_named || c->prepared[s->slot] == call->serial) return true;
  uint64_t before = c->prepared[s->slot];
  if (before && !pg_wire_close(&c->out, before)) return false;
  c->prepared[s->slot] = call->serial;
  call->parses = true;
  call->statement_slot = s->slot;
  const Buffer *text = &s->text.text;
  return pg_wire_parse(&c->out, call->serial, text->data, text->len, call->shape->oids,
                       call->shape->parameters) &&
         pg_wire_describe(&c->out, 'S', call->serial);
}

void pg_connection_submit(PgConnection *c, PgCall *call, uint64_t now) {
  Runtime *rt = runtime(c);
  call->connection = c;
  call->in_line = false;
  call->in_flight = true;
  call->parses = call->has_error = false;
  call->since = now;
  pg_connection_pause(c, false); /* its answer comes behind notifications */
  pg_call_append(&c->flying, call);
  if (call->awaited) pg_connection_hold_for(c, call, true);
  bool ok = !call->statement || prepare(c, call);
  if (ok && !c->out.len && !call->may_repeat) { /* a long one is not copied */
    Buffer empty = c->out;
    c->out = call->out;
    call->out = empty;
  } else {
    ok = ok && buffer_add(&c->out, call->out.data, call->out.len);
  }
  if (!ok) {
    pg_connection_lose(c, "network", "ENOMEM", "not enough memory");
    return;
  }
  double seconds = c->pool->settings.timeout;
  if (!c->deadline.place && !call->unlimited && call->awaited) {
    uint64_t due = timer_due(call->since, seconds);
    if (due != TIMER_NEVER) timer_set(&rt->timers, &c->deadline, due, on_deadline);
  }
}

void pg_connection_abandon(PgConnection *c, PgCall *call) {
  pg_connection_hold_for(c, call, false);
  call->awaited = call->owned = call->kept = false;
  if (call->is_simple) call->until = PG_UNTIL_READY; /* COPY is not to begin any more */
  look_after(c);
}
