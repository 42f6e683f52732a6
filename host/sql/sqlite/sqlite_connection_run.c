/* What each verb of a job does: see sqlite_connection.h. */
#include "sql/sqlite/sqlite_connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- jobs --- */

static void run_prepared(SqliteConnection *c, SqlitePrepared *p, SqliteJob *job, const char **at) {
  if (!sqlite_connection_bind_all(c, p, at, job)) return;
  int rc = sqlite_connection_step_rows(c, p, job, SIZE_MAX);
  if (rc != SQLITE_DONE) {
    sqlite_connection_fail(c, job, rc);
  } else {
    if (!p->reads && atomic_load(&job->statement->class) != SQLITE_ALONE)
      job->changes += c->lib->changes64(c->db);
    if (!job->shape && p->shape) job->shape = sqlite_statement_retain_shape(p->shape);
  }
  rc = c->lib->reset(p->stmt);
  if (rc && !job->fault.code) sqlite_connection_fail(c, job, rc);
}

/* A reader has got what changes something. The writer will have it. */
static bool is_bounced(const SqliteConnection *c, const SqlitePrepared *p, SqliteJob *job) {
  if (!c->reader || p->reads) return false;
  if (job->lease && !job->bounces) return false; /* it is told that the connection only reads */
  int reads = SQLITE_READS;
  atomic_compare_exchange_strong(&job->statement->class, &reads, SQLITE_CHANGES);
  return job->bounced = true;
}

static void run_statement(SqliteConnection *c, SqliteJob *job) {
  SqlitePrepared *p = sqlite_connection_find(c, job);
  if (!p || is_bounced(c, p, job)) return;
  const char *at = job->parameters.data;
  run_prepared(c, p, job, &at);
}

static void run_simple(SqliteConnection *c, SqliteJob *job) {
  if (!job->statement->several) {
    SqlitePrepared *p = sqlite_connection_find(c, job);
    if (p) sqlite_connection_simple_step(c, p, job);
    return;
  }
  const char *sql = job->statement->sql, *end = sql + job->statement->len;
  for (bool ok = true; ok && *sql;) {
    SqlitePrepared p = {0};
    size_t before = (size_t)(sql - job->statement->sql);
    ok = sqlite_connection_prepare_text(c, &p, &sql, (size_t)(end - sql), 0, job);
    if (ok && p.stmt) ok = sqlite_connection_simple_step(c, &p, job);
    if (!ok && job->fault.offset >= 0) job->fault.offset += (int)before;
    sqlite_connection_unprepare(c, &p);
  }
}

static void run_sets(SqliteConnection *c, SqliteJob *job) {
  SqlitePrepared *p = sqlite_connection_find(c, job);
  const char *at = job->parameters.data;
  for (unsigned i = 0; p && i < job->sets && !job->fault.code; i++) {
    run_prepared(c, p, job, &at);
    job->cells.len = job->rows = 0;
    if (job->fault.code) job->fault.set = (long)i + 1;
  }
}

/* All or nothing: a transaction, or a savepoint inside of one. */
static void run_batch(SqliteConnection *c, SqliteJob *job) {
  bool inside = sqlite_connection_in_transaction(c);
  if (inside) {
    if (!sqlite_connection_execute(c, "savepoint moonloop_batch", job)) return;
  } else {
    int rc = sqlite_connection_begin_immediate(c);
    if (rc) {
      sqlite_connection_fail(c, job, rc);
      return;
    }
  }
  run_sets(c, job);
  if (inside && sqlite_connection_in_transaction(c)) {
    SqliteFault fault = job->fault;
    int64_t changes = job->changes;
    job->fault = (SqliteFault){.offset = -1};
    c->current = NULL; /* its end is not broken off */
    if (fault.code) sqlite_connection_execute(c, "rollback to moonloop_batch", job);
    sqlite_connection_execute(c, "release moonloop_batch", job);
    c->current = job;
    if (fault.code) {
      free(job->fault.message);
      job->fault = fault;
    }
    job->changes = changes;
  } else if (!inside && !job->fault.code) {
    int rc = sqlite_connection_commit(c);
    if (rc) sqlite_connection_fail(c, job, rc);
  }
  if (!inside && job->fault.code) sqlite_connection_rollback(c);
}

/* --- streams --- */

static void close_stream(SqliteConnection *c, SqliteJob *job) {
  if (!job->open) return;
  c->lib->finalize(job->open);
  job->open = NULL;
  SqliteJob **link = &c->streams;
  while (*link != job) link = &(*link)->streams_next;
  *link = job->streams_next;
}

/* The chunks of a stream: the first soon, the others large. */
enum { STREAM_BYTES = 64 << 10 };

static void run_stream(SqliteConnection *c, SqliteJob *job) {
  SqlitePrepared p = {0};
  const char *at = job->parameters.data;
  job->cells.len = job->rows = 0;
  if (!job->open) {
    if (job->more) { /* its transaction has ended */
      job->more = false;
      sqlite_connection_set_own_fault(job, SQLITE_ABORT_ROLLBACK,
                                      "the rows have ended with the connection's transaction");
      return;
    }
    if (!sqlite_connection_prepare(c, &p, 0, job) || !p.stmt) return;
    if (is_bounced(c, &p, job) || !sqlite_connection_bind_all(c, &p, &at, job)) {
      sqlite_connection_unprepare(c, &p);
      return;
    }
    job->open = p.stmt;
    job->streams_next = c->streams;
    c->streams = job;
  } else {
    p.stmt = job->open;
    p.shape = sqlite_statement_retain_shape(job->shape);
    p.reprepared = c->lib->stmt_status(p.stmt, SQLITE_STMTSTATUS_REPREPARE, 0);
  }
  int rc = sqlite_connection_step_rows(c, &p, job, STREAM_BYTES);
  job->more = rc == SQLITE_ROW;
  if (rc != SQLITE_ROW && rc != SQLITE_DONE) sqlite_connection_fail(c, job, rc);
  p.stmt = NULL; /* the job has it */
  sqlite_connection_unprepare(c, &p);
  if (!job->more) close_stream(c, job);
}

void sqlite_connection_close_streams(SqliteConnection *c) {
  while (c->streams) close_stream(c, c->streams);
}

/* --- all of them --- */

static void run_verb(SqliteConnection *c, SqliteJob *job) {
  switch ((SqliteVerb)job->verb) {
  case SQLITE_RUN:
    run_statement(c, job);
    break;
  case SQLITE_BATCH:
    run_batch(c, job);
    break;
  case SQLITE_SIMPLE:
    run_simple(c, job);
    break;
  case SQLITE_STREAM:
    run_stream(c, job);
    break;
  case SQLITE_UNSTREAM:
  case SQLITE_RESET:
  case SQLITE_REOPEN:
  case SQLITE_LEASE:
    break;
  }
}

/* Ends what is open. It always runs. */
static bool run_end(SqliteConnection *c, SqliteJob *job) {
  switch ((SqliteVerb)job->verb) {
  case SQLITE_UNSTREAM:
    close_stream(c, job);
    return true;
  case SQLITE_REOPEN:
    if (!c->settings->memory) sqlite_connection_close(c);
    __attribute__((fallthrough));
  case SQLITE_RESET:
    c->lost = false;
    sqlite_connection_close_streams(c);
    if (sqlite_connection_in_transaction(c)) sqlite_connection_rollback(c);
    return true;
  default:
    return false;
  }
}

/* SQLite has rolled the holder's transaction back. What comes until he has heard of it would be
   committed at once, each statement for itself. */
static void lose(SqliteConnection *c, const SqliteJob *job) {
  c->lost = true;
  snprintf(c->lost_by, sizeof c->lost_by, "%s",
           job->fault.message ? job->fault.message : "not enough memory");
}

static void refuse_lost(SqliteConnection *c, SqliteJob *job) {
  char text[sizeof c->lost_by + 100];
  snprintf(text, sizeof text, "the transaction was rolled back by an error before: %s", c->lost_by);
  sqlite_connection_set_own_fault(job, SQLITE_ABORT_ROLLBACK, text);
}

void sqlite_connection_run_inside(SqliteConnection *c, SqliteJob *job) {
  if (run_end(c, job)) return;
  if (atomic_load_explicit(&job->stop, memory_order_relaxed)) {
    sqlite_connection_set_fault(job, SQLITE_INTERRUPT, "interrupted");
    return;
  }
  bool before = sqlite_connection_in_transaction(c);
  job->ran = true;
  c->current = job;
  if (!c->lost)
    run_verb(c, job);
  else if (job->verb == SQLITE_SIMPLE && job->statement->rolls_back)
    c->lost = false;
  else
    refuse_lost(c, job);
  c->current = NULL;
  job->in_transaction = sqlite_connection_in_transaction(c);
  if (before && !job->in_transaction && job->lease && job->fault.code) lose(c, job);
  job->lost = c->lost;
}

void sqlite_connection_run(SqliteConnection *c, SqliteJob *job) {
  if (job->verb < SQLITE_UNSTREAM && !sqlite_connection_open(c, job)) return;
  sqlite_connection_run_inside(c, job);
}
