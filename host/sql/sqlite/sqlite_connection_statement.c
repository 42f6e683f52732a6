/* Preparing statements, binding, stepping: see sqlite_connection.h. */
#include "sql/sqlite/sqlite_connection.h"

#include "sql/sqlite/sqlite_cells.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static SqliteConversion conversion_of(const char *type) {
  if (!type) return SQLITE_AS_IT_IS;
  if (strncasecmp(type, "bool", 4) == 0) return SQLITE_AS_BOOLEAN;
  if (strncasecmp(type, "json", 4) == 0) return SQLITE_AS_JSON;
  if (strncasecmp(type, "timestamptz", 11) == 0 ||
      strncasecmp(type, "timestamp with time zone", 24) == 0)
    return SQLITE_AS_TIME;
  return SQLITE_AS_IT_IS;
}

/* The shape of a statement's results, shared with the other connections if it is the same. NULL: it
   has none, or memory is out. */
static SqliteShape *shape_of(SqliteConnection *c, sqlite3_stmt *stmt, SqliteStatement *statement) {
  unsigned columns = (unsigned)c->lib->column_count(stmt);
  if (!columns) return NULL;
  Buffer bytes = {0};
  bool ok = true;
  for (unsigned i = 0; i < columns && ok; i++)
    ok = buffer_add_char(&bytes, (char)conversion_of(c->lib->column_decltype(stmt, (int)i)));
  for (unsigned i = 0; i < columns && ok; i++) {
    const char *name = c->lib->column_name(stmt, (int)i);
    ok = name && buffer_add(&bytes, name, strlen(name) + 1);
  }
  SqliteShape *shape = ok ? malloc(sizeof *shape + bytes.len) : NULL;
  if (shape) {
    atomic_init(&shape->refs, 1);
    shape->columns = columns;
    shape->size = bytes.len;
    memcpy(shape->bytes, bytes.data, bytes.len);
    pthread_mutex_lock(c->lock);
    SqliteShape *known = statement->shape;
    if (known && known->columns == columns && known->size == shape->size &&
        memcmp(known->bytes, shape->bytes, shape->size) == 0) {
      sqlite_statement_release_shape(shape);
      shape = sqlite_statement_retain_shape(known);
    } else {
      sqlite_statement_release_shape(known);
      statement->shape = sqlite_statement_retain_shape(shape);
    }
    pthread_mutex_unlock(c->lock);
  }
  buffer_free(&bytes);
  return shape;
}

void sqlite_connection_unprepare(const SqliteConnection *c, SqlitePrepared *p) {
  if (p->stmt) c->lib->finalize(p->stmt);
  free(p->numbers);
  sqlite_statement_release_shape(p->shape);
  sqlite_statement_release(p->statement);
  *p = (SqlitePrepared){0};
}

/* SQLite numbers its parameters by their first appearance, whatever $N says. False: there are
   others than $1 to $N, and `job` has the fault. */
static bool find_numbers(SqliteConnection *c, SqlitePrepared *p, SqliteJob *job) {
  int count = c->lib->bind_parameter_count(p->stmt);
  unsigned wanted = job->statement->parameters;
  p->parameters = (unsigned)count;
  bool same = true;
  for (int i = 1; i <= count; i++) {
    const char *name = c->lib->bind_parameter_name(p->stmt, i);
    char *end;
    unsigned long n = name && *name == '$' ? strtoul(name + 1, &end, 10) : 0;
    if (!n || n > wanted || *end) {
      sqlite_connection_set_own_fault(job, SQLITE_ERROR, "write parameters as $1 or :name");
      return false;
    }
    if (n == (unsigned long)i && same) continue;
    if (!p->numbers) {
      p->numbers = calloc(wanted + 1, sizeof *p->numbers);
      if (!p->numbers) {
        sqlite_connection_set_fault(job, SQLITE_NOMEM, NULL);
        return false;
      }
      for (int k = 1; k < i; k++) p->numbers[k] = k;
      same = false;
    }
    p->numbers[n] = i;
  }
  return true;
}

/* Prepares one statement of `*sql`, which then is what follows it. p->stmt is NULL where there is
   none. */
bool sqlite_connection_prepare_text(SqliteConnection *c, SqlitePrepared *p, const char **sql,
                                    size_t len, unsigned flags, SqliteJob *job) {
  int rc = c->lib->prepare_v3(c->db, *sql, (int)len + 1, flags, &p->stmt, sql);
  if (rc) {
    sqlite_connection_fail(c, job, rc);
    job->fault.in_prepare = true;
    return false;
  }
  if (p->stmt) p->reads = c->lib->stmt_readonly(p->stmt);
  return true;
}

/* Nothing but comments follows the statement. */
static bool is_last(SqliteConnection *c, const char *rest, const char *end, SqliteJob *job) {
  while (rest < end && strchr(" \t\r\n;", *rest)) rest++;
  if (rest == end) return true;
  SqlitePrepared p = {0};
  if (!sqlite_connection_prepare_text(c, &p, &rest, (size_t)(end - rest), 0, job)) return false;
  bool is_last = !p.stmt;
  sqlite_connection_unprepare(c, &p);
  if (!is_last) sqlite_connection_set_own_fault(job, SQLITE_ERROR, "more than one statement");
  return is_last;
}

bool sqlite_connection_prepare(SqliteConnection *c, SqlitePrepared *p, unsigned flags,
                               SqliteJob *job) {
  SqliteStatement *statement = job->statement;
  const char *sql = statement->sql;
  if (!sqlite_connection_prepare_text(c, p, &sql, statement->len, flags, job)) return false;
  if (!p->stmt) return true;
  if (!is_last(c, sql, statement->sql + statement->len, job) || !find_numbers(c, p, job)) {
    sqlite_connection_unprepare(c, p);
    return false;
  }
  p->shape = shape_of(c, p->stmt, statement);
  p->statement = sqlite_statement_retain(statement);
  p->id = statement->id;
  return true;
}

/* The job's statement, prepared once. NULL: the job has the fault, or there is no statement. */
SqlitePrepared *sqlite_connection_find(SqliteConnection *c, SqliteJob *job) {
  SqlitePrepared *p = &c->prepared[job->statement->id % SQLITE_PREPARED];
  if (p->id == job->statement->id && c->settings->prepare) return p;
  sqlite_connection_unprepare(c, p);
  if (!sqlite_connection_prepare(c, p, SQLITE_PREPARE_PERSISTENT, job) || !p->stmt) return NULL;
  return p;
}

/* SQLite has prepared the statement again because the schema had changed. */
static void look_for_change(SqliteConnection *c, SqlitePrepared *p, SqliteJob *job) {
  int n = c->lib->stmt_status(p->stmt, SQLITE_STMTSTATUS_REPREPARE, 0);
  if (n == p->reprepared) return;
  p->reprepared = n;
  sqlite_statement_release_shape(p->shape);
  p->shape = shape_of(c, p->stmt, job->statement);
}

static int bind_one(const SqliteConnection *c, sqlite3_stmt *stmt, int number, const char **at) {
  SqliteCell type = (SqliteCell)(unsigned char)*(*at)++;
  size_t len;
  const char *bytes;
  switch (type) {
  case SQLITE_CELL_INTEGER: {
    int64_t value = sqlite_cells_take_integer(at);
    return number ? c->lib->bind_int64(stmt, number, value) : 0;
  }
  case SQLITE_CELL_FLOAT: {
    double value = sqlite_cells_take_float(at);
    return number ? c->lib->bind_double(stmt, number, value) : 0;
  }
  case SQLITE_CELL_TEXT:
    bytes = sqlite_cells_take_bytes(at, &len);
    return number ? c->lib->bind_text64(stmt, number, bytes, len, SQLITE_STATIC, SQLITE_UTF8) : 0;
  case SQLITE_CELL_BLOB:
    bytes = sqlite_cells_take_bytes(at, &len);
    return number ? c->lib->bind_blob64(stmt, number, bytes, len, SQLITE_STATIC) : 0;
  case SQLITE_CELL_NULL:
    break;
  }
  return number ? c->lib->bind_null(stmt, number) : 0;
}

/* Binds the next list of parameters, and steps over it. */
bool sqlite_connection_bind_all(SqliteConnection *c, SqlitePrepared *p, const char **at,
                                SqliteJob *job) {
  for (unsigned i = 1; i <= job->statement->parameters; i++) {
    int number = p->numbers ? p->numbers[i] : i <= p->parameters ? (int)i : 0;
    int rc = bind_one(c, p->stmt, number, at);
    if (rc) {
      sqlite_connection_fail(c, job, rc);
      return false;
    }
  }
  return true;
}

/* Adds a text or a blob of the row that the statement is at. An SQLite code, or
   SQLITE_CONNECTION_LARGE. */
static int add_bytes(const SqliteConnection *c, Buffer *out, SqliteCell type, const void *bytes,
                     int len) {
  if ((size_t)len > c->settings->max_result) return SQLITE_CONNECTION_LARGE;
  return sqlite_cells_put_bytes(out, type, bytes, (size_t)len) ? SQLITE_OK : SQLITE_NOMEM;
}

/* Adds that row: the same codes. */
static int add_row(const SqliteConnection *c, sqlite3_stmt *stmt, SqliteJob *job) {
  const SqliteLibrary *lib = c->lib;
  Buffer *out = &job->cells;
  int columns = job->shape ? (int)job->shape->columns : 0, rc = SQLITE_OK;
  if (!buffer_reserve(out, (size_t)columns * SQLITE_CELL_SIZE)) return SQLITE_NOMEM;
  for (int i = 0; i < columns && rc == SQLITE_OK; i++) {
    if (!buffer_reserve(out, SQLITE_CELL_SIZE)) return SQLITE_NOMEM;
    switch (lib->column_type(stmt, i)) {
    case SQLITE_INTEGER:
      sqlite_cells_put_integer(out, lib->column_int64(stmt, i));
      break;
    case SQLITE_FLOAT:
      sqlite_cells_put_float(out, lib->column_double(stmt, i));
      break;
    case SQLITE_TEXT: {
      const unsigned char *text = lib->column_text(stmt, i);
      if (!text) return SQLITE_NOMEM;
      rc = add_bytes(c, out, SQLITE_CELL_TEXT, text, lib->column_bytes(stmt, i));
      break;
    }
    case SQLITE_BLOB: {
      const void *blob = lib->column_blob(stmt, i);
      rc = add_bytes(c, out, SQLITE_CELL_BLOB, blob, lib->column_bytes(stmt, i));
      break;
    }
    default:
      sqlite_cells_put_null(out);
    }
  }
  job->rows++;
  return rc;
}

/* What a row takes beside its cells: as much as in PostgreSQL's protocol. */
enum { ROW_BYTES = 7, COLUMN_BYTES = 3 };

/* Are the rows, the last of which begins at `from`, more than a result may have? */
static bool is_large(const SqliteConnection *c, const SqliteJob *job, size_t from) {
  bool is_stream = job->verb == SQLITE_STREAM;
  size_t each = ROW_BYTES + COLUMN_BYTES * (size_t)job->shape->columns;
  size_t size = is_stream ? job->cells.len - from : job->cells.len + job->rows * each;
  return size > c->settings->max_result;
}

/* What the statement has changed is taken back, with the transaction around it: it must not be
   committed by whoever ends it. */
static int refuse_large(const SqliteConnection *c, const SqlitePrepared *p) {
  if (!p->reads) {
    c->lib->interrupt(c->db);
    c->lib->step(p->stmt);
  }
  return SQLITE_CONNECTION_LARGE;
}

int sqlite_connection_step_rows(SqliteConnection *c, SqlitePrepared *p, SqliteJob *job,
                                size_t bytes) {
  int rc = c->lib->step(p->stmt);
  look_for_change(c, p, job);
  if (rc != SQLITE_ROW) return rc;
  if (!job->shape && p->shape) job->shape = sqlite_statement_retain_shape(p->shape);
  if (!job->shape) return SQLITE_NOMEM;
  for (; rc == SQLITE_ROW; rc = c->lib->step(p->stmt)) {
    if (job->limit && job->rows >= job->limit) {
      if (p->reads) return SQLITE_DONE;
      continue; /* what it changes, it has to change to the end */
    }
    size_t from = job->cells.len;
    int added = add_row(c, p->stmt, job);
    if (added == SQLITE_CONNECTION_LARGE || (added == SQLITE_OK && is_large(c, job, from)))
      return refuse_large(c, p);
    if (added != SQLITE_OK) return added;
    if (job->cells.len >= bytes) return SQLITE_ROW;
  }
  return rc;
}

bool sqlite_connection_simple_step(SqliteConnection *c, SqlitePrepared *p, SqliteJob *job) {
  int rc;
  do rc = c->lib->step(p->stmt);
  while (rc == SQLITE_ROW);
  if (rc != SQLITE_DONE) sqlite_connection_fail(c, job, rc);
  c->lib->reset(p->stmt);
  return rc == SQLITE_DONE;
}

bool sqlite_connection_execute(SqliteConnection *c, const char *sql, SqliteJob *job) {
  SqlitePrepared p = {0};
  bool ok = sqlite_connection_prepare_text(c, &p, &sql, strlen(sql), 0, job);
  if (ok) ok = sqlite_connection_simple_step(c, &p, job);
  sqlite_connection_unprepare(c, &p);
  return ok;
}
