/* The error objects of databases. */
#ifndef ML_SQL_ERROR_H
#define ML_SQL_ERROR_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* What became of a statement. Texts that are NULL are left out; none is kept. */
typedef struct SqlError {
  const char *kind; /* "unique", "syntax", "timeout", ...: those of doc/reference/sql.md */
  const char *code; /* the SQLSTATE, or SQLite's extended code */
  const char *message;
  const char *constraint, *table, *column, *detail, *hint;
  unsigned position; /* characters into the statement, from 1; 0: unknown */
  const char *sql;   /* the statement, `sql_len` bytes; never the values of its parameters */
  size_t sql_len;
  bool hidden;  /* `message` hides a value, and `detail` is the whole of both */
  bool unknown; /* a COMMIT whose answer was lost: it may have happened */
} SqlError;

enum { SQL_ERROR_LARGE = 200 };

/* Writes why a result, or one of its rows, is an error of kind "limit": it has more than
   `max_result` bytes. */
void sql_error_say_large(char text[SQL_ERROR_LARGE], bool is_row, size_t max_result);

/* Pushes the error object. Raises when memory is out. */
void sql_error_push(lua_State *L, const SqlError *error);

/* The kind of an error that PostgreSQL reports with this SQLSTATE (five characters): "sql" where
   there is no closer one. PostgreSQL's manual, appendix A. */
const char *sql_error_kind(const char *sqlstate);

#endif
