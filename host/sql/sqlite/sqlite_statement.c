#include "sql/sqlite/sqlite_statement.h"

#include <stdlib.h>
#include <string.h>

SqliteStatement *sqlite_statement_new(const char *sql, size_t len, const char *source) {
  SqliteStatement *statement = calloc(1, sizeof *statement + len + 1);
  if (!statement) return NULL;
  atomic_init(&statement->refs, 1);
  atomic_init(&statement->class, SQLITE_ALONE);
  statement->len = len;
  memcpy(statement->sql, sql, len);
  if (strcmp(source, statement->sql) != 0 && !(statement->source = strdup(source))) {
    free(statement);
    return NULL;
  }
  return statement;
}

void sqlite_statement_release_shape(SqliteShape *shape) {
  if (shape && atomic_fetch_sub(&shape->refs, 1) == 1) free(shape);
}

void sqlite_statement_release(SqliteStatement *statement) {
  if (!statement || atomic_fetch_sub(&statement->refs, 1) > 1) return;
  sqlite_statement_release_shape(statement->shape);
  free(statement->source);
  free(statement);
}
