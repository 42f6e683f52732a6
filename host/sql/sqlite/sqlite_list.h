/* Lists as parameters: SQLite has no arrays. A list is bound as JSON, and `= any($n)` becomes
   `in (select value from json_each($n))`, `<> all($n)` the same with `not in`. */
#ifndef ML_SQLITE_LIST_H
#define ML_SQLITE_LIST_H

#include "sql/sql_text.h"

typedef enum SqliteListUse {
  SQLITE_LIST_NEVER,  /* the parameter is used as a value */
  SQLITE_LIST_ALWAYS, /* only in any() and all() */
  SQLITE_LIST_MIXED   /* both */
} SqliteListUse;

/* Appends the statement as SQLite gets it. uses[n - 1] is how $n is used. False when memory is out.
 */
bool sqlite_list_rewrite(const SqlText *text, Buffer *out, unsigned char *uses);

#endif
