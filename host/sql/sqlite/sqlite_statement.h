/* Statements, and what their results look like: shared by the loop and the threads that run them.
 */
#ifndef ML_SQLITE_STATEMENT_H
#define ML_SQLITE_STATEMENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a column's values become Lua's, by its declared type. */
typedef enum SqliteConversion {
  SQLITE_AS_IT_IS,
  SQLITE_AS_BOOLEAN,
  SQLITE_AS_JSON,
  SQLITE_AS_TIME
} SqliteConversion;

/* The columns of a result. Does not change once others see it. */
typedef struct SqliteShape {
  atomic_uint refs;
  unsigned columns;
  size_t size;           /* of `bytes` */
  unsigned char bytes[]; /* a SqliteConversion a column, then the names, each with its NUL */
} SqliteShape;

/* The names, one behind the other. */
static inline const char *sqlite_statement_names(const SqliteShape *shape) {
  return (const char *)shape->bytes + shape->columns;
}

typedef enum SqliteClass {
  SQLITE_READS,   /* for any reader, with others in one snapshot */
  SQLITE_CHANGES, /* for the writer, with others in one transaction */
  SQLITE_ALONE    /* for the writer: CREATE, PRAGMA, VACUUM */
} SqliteClass;

typedef struct SqliteStatement {
  atomic_uint refs;
  uint32_t id;         /* of its pool's: from 1 */
  atomic_int class;    /* a SqliteClass; a reader may find that it changes something */
  bool several;        /* statements: for sqlite_job's SQLITE_SIMPLE only */
  bool rolls_back;     /* it is ROLLBACK, of all */
  unsigned parameters; /* $1 to $N */
  SqliteShape *shape;  /* under the pool's lock: as it was last prepared, or NULL */
  char *source;        /* as it was written, where that is another text; or NULL */
  size_t len;
  char sql[]; /* as SQLite gets it */
} SqliteStatement;

/* `source` is what `sql` was made from. NULL when memory is out. The caller has the one reference.
 */
SqliteStatement *sqlite_statement_new(const char *sql, size_t len, const char *source);

static inline SqliteStatement *sqlite_statement_retain(SqliteStatement *statement) {
  atomic_fetch_add_explicit(&statement->refs, 1, memory_order_relaxed);
  return statement;
}
void sqlite_statement_release(SqliteStatement *statement);

static inline SqliteShape *sqlite_statement_retain_shape(SqliteShape *shape) {
  atomic_fetch_add_explicit(&shape->refs, 1, memory_order_relaxed);
  return shape;
}

/* Harmless for NULL. */
void sqlite_statement_release_shape(SqliteShape *shape);

#endif
