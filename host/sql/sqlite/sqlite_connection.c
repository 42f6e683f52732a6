#include "sql/sqlite/sqlite_connection.h"

#include "sql/sql_error.h"
#include "sql/sqlite/sqlite_cells.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* Instructions of SQLite between two looks whether the job is still wanted: some microseconds. */
#define STEPS 1000
#define JOURNAL_SIZE "67108864" /* bytes */
/* How long it sleeps at most before it asks for a lock again. */
#define LOCK_NAP_NS 10000000

/* --- faults --- */

void sqlite_connection_forget(SqliteJob *job) {
  free(job->fault.message);
  job->fault = (SqliteFault){.offset = -1};
  job->cells.len = 0;
  job->rows = 0;
  job->changes = 0;
  sqlite_statement_release_shape(job->shape);
  job->shape = NULL;
}

void sqlite_connection_set_fault(SqliteJob *job, int code, const char *message) {
  sqlite_connection_forget(job);
  job->fault.code = code;
  job->fault.message = message ? strdup(message) : NULL;
}

void sqlite_connection_set_own_fault(SqliteJob *job, int code, const char *message) {
  sqlite_connection_set_fault(job, code, message);
  job->fault.is_own = true;
}

void sqlite_connection_fail(const SqliteConnection *c, SqliteJob *job, int code) {
  if (code == SQLITE_CONNECTION_LARGE) {
    char why[SQL_ERROR_LARGE];
    sql_error_say_large(why, job->verb == SQLITE_STREAM, c->settings->max_result);
    sqlite_connection_set_fault(job, code, why);
    return;
  }
  if (!c->db) {
    sqlite_connection_set_fault(job, code, NULL);
    return;
  }
  int extended = c->lib->extended_errcode(c->db);
  int offset = c->lib->error_offset(c->db), system_error = c->lib->system_errno(c->db);
  sqlite_connection_set_fault(job, (extended & 0xff) == (code & 0xff) ? extended : code,
                              c->lib->errmsg(c->db));
  job->fault.offset = offset;
  job->fault.system_error = system_error;
}

/* --- what SQLite asks meanwhile --- */

static bool is_wanted(const SqliteConnection *c) {
  if (c->current) return !atomic_load_explicit(&c->current->stop, memory_order_relaxed);
  for (const SqliteJob *job = c->group; job; job = job->next) {
    if (!atomic_load_explicit(&job->stop, memory_order_relaxed)) return true;
  }
  return !c->group;
}

/* Not 0: the statement that runs is broken off. What is asked is the job that it belongs to, so no
   other statement can be meant. */
static int on_progress(void *data) {
  const SqliteConnection *c = data;
  return !is_wanted(c) || (c->until && uv_hrtime() > c->until);
}

/* Another connection has the lock. 0: no more tries. */
static int on_busy(void *data, int tries) {
  const SqliteConnection *c = data;
  if (c->until || atomic_load(c->closing) || !is_wanted(c)) return 0;
  long nap = tries < 4 ? 1000000L << tries : LOCK_NAP_NS;
  nanosleep(&(struct timespec){0, nap}, NULL);
  return 1;
}

/* --- transactions --- */

static int step_once(SqliteConnection *c, SqlitePrepared *p, const char *sql) {
  int rc = SQLITE_OK;
  if (!p->stmt) rc = c->lib->prepare_v3(c->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &p->stmt, NULL);
  if (rc) return rc;
  rc = c->lib->step(p->stmt);
  int end = c->lib->reset(p->stmt);
  return rc == SQLITE_DONE ? end : rc;
}

int sqlite_connection_begin(SqliteConnection *c) { return step_once(c, &c->begin, "begin"); }

int sqlite_connection_begin_immediate(SqliteConnection *c) {
  return step_once(c, &c->begin_immediate, "begin immediate");
}

int sqlite_connection_commit(SqliteConnection *c) {
  SqliteJob *current = c->current;
  c->current = NULL; /* it is not broken off */
  int rc = step_once(c, &c->commit, "commit");
  c->current = current;
  return rc;
}

void sqlite_connection_rollback(SqliteConnection *c) {
  if (!sqlite_connection_in_transaction(c)) return;
  SqliteJob *current = c->current, *group = c->group;
  c->current = c->group = NULL;
  step_once(c, &c->rollback, "rollback");
  c->current = current;
  c->group = group;
  if (sqlite_connection_in_transaction(c) && !c->settings->memory) sqlite_connection_close(c);
}

/* --- opening --- */

/* Takes away what SQL alone would need to run code or to break the file: a tokenizer given by its
   address (some systems' libraries allow that), writing to the schema and to shadow tables.
   TRUSTED_SCHEMA stays on: without it, views and triggers could not use FTS5, nor JSON in some
   versions. */
static void disarm(const SqliteConnection *c) {
  c->lib->db_config(c->db, SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0, NULL);
  c->lib->db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
}

static bool set_up(SqliteConnection *c, SqliteJob *job) {
  const SqliteLibrary *lib = c->lib;
  const SqliteSettings *s = c->settings;
  disarm(c);
  lib->extended_result_codes(c->db, 1);
  lib->busy_handler(c->db, on_busy, c);
  lib->progress_handler(c->db, STEPS, on_progress, c);
  char pragma[64] = "pragma synchronous=";
  strcat(pragma, s->synchronous);
  bool writable = !(s->flags & SQLITE_OPEN_READONLY);
  if (!sqlite_connection_execute(c, "pragma foreign_keys=on", job)) return false;
  if (writable && !s->memory) {
    /* The switch to WAL does not ask on_busy. */
    for (int tries = 0; !sqlite_connection_execute(c, "pragma journal_mode=wal", job); tries++) {
      int code = job->fault.code & 0xff;
      if (code != SQLITE_READONLY && (code != SQLITE_BUSY || !on_busy(c, tries))) return false;
      sqlite_connection_forget(job);
      if (code == SQLITE_READONLY) break; /* it can be read all the same */
    }
  } else if (!sqlite_connection_execute(c, "pragma schema_version", job)) { /* is it a database? */
    return false;
  }
  /* A log that a long reader has made large is cut when it begins anew. */
  const char *last = c->reader ? "pragma query_only=on" : "pragma journal_size_limit=" JOURNAL_SIZE;
  return sqlite_connection_execute(c, pragma, job) && sqlite_connection_execute(c, last, job);
}

/* One at a time. False: the loop would have to wait for another, which may wait for a lock. */
static bool begin_opening(SqliteConnection *c, SqliteJob *job) {
  if (!c->until) return pthread_mutex_lock(c->opening) == 0;
  if (pthread_mutex_trylock(c->opening) == 0) return true;
  sqlite_connection_set_fault(job, SQLITE_BUSY, NULL);
  return false;
}

bool sqlite_connection_open(SqliteConnection *c, SqliteJob *job) {
  if (c->db) return true;
  if (!begin_opening(c, job)) return false;
  SqliteJob *before = c->current;
  c->current = job;
  int rc = c->lib->open_v2(c->settings->path, &c->db, c->settings->flags, NULL);
  bool ok = rc == SQLITE_OK;
  if (!ok)
    sqlite_connection_fail(c, job, rc);
  else
    ok = set_up(c, job);
  pthread_mutex_unlock(c->opening);
  c->current = before;
  if (ok) return true;
  SqliteFault fault = job->fault;
  sqlite_connection_close(c);
  job->fault = fault;
  return false;
}

void sqlite_connection_close(SqliteConnection *c) {
  sqlite_connection_close_streams(c);
  for (int i = 0; i < SQLITE_PREPARED; i++) sqlite_connection_unprepare(c, &c->prepared[i]);
  sqlite_connection_unprepare(c, &c->begin);
  sqlite_connection_unprepare(c, &c->begin_immediate);
  sqlite_connection_unprepare(c, &c->commit);
  sqlite_connection_unprepare(c, &c->rollback);
  if (c->db) c->lib->close_v2(c->db);
  c->db = NULL;
}
