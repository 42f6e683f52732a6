/* Statements of a pool, by their text: where their parameters are, what the server has said of
   their types, and the name under which connections prepare them. The pool keeps the PG_STATEMENTS
   that were used last; a connection has prepared those that were sent on it. */
#ifndef ML_PG_STATEMENT_H
#define ML_PG_STATEMENT_H

#include "sql/pg/pg_reader.h"
#include "sql/pg/pg_types.h"
#include "sql/sql_text.h"

enum { PG_STATEMENTS = 256 };

/* How a statement may be sent. */
typedef enum PgClass {
  PG_QUERY,  /* SELECT, INSERT and the like: others may follow at once, and it may be repeated where
                somebody else's cancel has hit it */
  PG_ALONE,  /* nothing is sent behind it before it is over */
  PG_CONTROL /* BEGIN, COMMIT and the like */
} PgClass;

typedef struct PgStatement {
  const char *source; /* as it was written; whoever has the statement keeps it */
  size_t source_len;
  struct PgStatement *newer, *older; /* of the pool's */
  unsigned slot;                     /* in the pool, and of what a connection has prepared */
  uint64_t serial;                   /* of its name; 0 is never one */
  PgClass class;
  SqlText text;
} PgStatement;

/* What a server has said of a statement: does not change. */
typedef struct PgShape {
  unsigned parameters, columns;
  uint32_t *oids;    /* behind it, as the columns are */
  PgColumn column[]; /* as they come */
} PgShape;

/* The statements of a pool, the newest first. */
typedef struct PgStatements {
  PgStatement *slots[PG_STATEMENTS];
  PgStatement *newest, *oldest;
  unsigned count;
  uint64_t serials;
} PgStatements;

/* Its class, by its first word. */
PgClass pg_statement_class(const char *keyword);

/* Adds a statement, all zero but for its text. Returns the one whose slot it has taken, which is
   out then, or NULL. */
PgStatement *pg_statement_add(PgStatements *all, PgStatement *statement);

/* It is used. */
static inline void pg_statement_use(PgStatements *all, PgStatement *s) {
  if (all->newest == s || all->slots[s->slot] != s) return;
  s->newer->older = s->older;
  if (s->older)
    s->older->newer = s->newer;
  else
    all->oldest = s->newer;
  s->newer = NULL;
  s->older = all->newest;
  all->newest->newer = s;
  all->newest = s;
}

/* Takes it out, and frees what it has. */
void pg_statement_clear(PgStatements *all, PgStatement *statement);

/* What the server has said of it does not hold any more: it gets another name. */
static inline void pg_statement_rename(PgStatements *all, PgStatement *statement) {
  statement->serial = ++all->serials;
}

/* A column of a RowDescription: `*at` is where it begins, and then the next one does. The name, or
   NULL where it is malformed. */
const char *pg_statement_read_column(const PgMessage *message, size_t *at, uint32_t *oid,
                                     uint16_t *format);

#endif
