/* The text of a statement: where its parameters are. Nothing else of SQL is understood. Strings,
   quoted names, comments and `$tag$...$tag$` are skipped (PostgreSQL's manual, 4.1; SQLite's "The
   Tokenizer"). */
#ifndef ML_SQL_TEXT_H
#define ML_SQL_TEXT_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  SQL_TEXT_PARAMETERS = 65535, /* PostgreSQL's limit: a parameter's number has 16 bits */
  SQL_TEXT_KEYWORD = 16
};

typedef enum SqlDialect {
  SQL_POSTGRES, /* nested comments, $tag$ strings, E'' strings, ::type, [1:2] */
  SQL_SQLITE    /* [names] and `names` in other quotes */
} SqlDialect;

/* `$n` in the text that is sent. */
typedef struct SqlPlace {
  uint32_t offset, len; /* bytes */
  uint32_t number;      /* n, from 1 */
  uint32_t bare;        /* bytes right before it without a comment, a string or a parameter */
} SqlPlace;

/* A name of a parameter, without its colon. */
typedef struct SqlName {
  uint32_t offset, len; /* bytes, in the source */
} SqlName;

typedef struct SqlText {
  Buffer text; /* what is sent: `:name` is `$n` there. Ends with a NUL that is not counted */
  unsigned parameters; /* the largest n */
  SqlName *names;      /* names[n - 1] is $n's; NULL where the statement says $n itself */
  SqlPlace *places;    /* in the order of the text */
  unsigned place_count;
  bool several; /* something follows a `;`: more than one statement, perhaps */
  char
      keyword[SQL_TEXT_KEYWORD]; /* the first word in lower case, cut off; "" where there is none */
} SqlText;

/* What is wrong, and where. */
typedef struct SqlTextError {
  char message[128];
  size_t offset; /* bytes, in the source */
} SqlTextError;

/* Scans `sql`. Each name gets one number, in the order of first appearance. `*text` has to be all
   zero; sql_text_free frees what it holds, after a failure too. False with `*error` where `:name`
   and `$n` are mixed, a number is out of range, or SQLite's other ways to write a parameter (`?`,
   `@name`, `$name`) are used; and when memory is out: "out of memory". */
bool sql_text_scan(SqlText *text, const char *sql, size_t len, SqlDialect dialect,
                   SqlTextError *error);

void sql_text_free(SqlText *text);

#endif
