/* Replies as Lua values. */
#ifndef ML_PG_RESULT_H
#define ML_PG_RESULT_H

#include "sql/pg/pg_statement.h"

#include <lua.h>

typedef enum PgMode {
  PG_ROWS,  /* a list of rows */
  PG_ONE,   /* a row; nil and nil; or nil and an error of kind "too_many" */
  PG_VALUE, /* the first column of it */
  PG_COUNT, /* how many rows it has changed */
  PG_PART   /* some of the rows, as a list without a class: nil where there are no more */
} PgMode;

/* The user values of a shape's userdata. */
enum { PG_SHAPE_NAMES = 1, PG_SHAPE_CLASS, PG_SHAPE_VALUES = PG_SHAPE_CLASS };

typedef struct PgResult {
  PgMode mode;
  const PgTypeOptions *options;
  int shape_at;    /* absolute index of the shape's userdata, or of nil: it is in the reply */
  bool in_batch;   /* an error names the list of parameters that it is of */
  const char *sql; /* for errors */
  size_t sql_len;
  const SqlText *text; /* of it, as it was sent; or NULL */
  bool is_new_shape;   /* out: the reply's columns are others than those of the shape */
  bool is_more;        /* out, of PG_PART: there are more rows */
} PgResult;

/* Reads the reply to Parse and Describe: pushes the shape, or nil and an error. Returns how many
   values those are. Raises a memory error. */
int pg_result_push_shape(lua_State *L, const PgResult *of, PgSlice reply);

/* Pushes what the mode says, or nil and an error. Returns how many values those are. */
int pg_result_push(lua_State *L, PgResult *of, PgSlice reply);

/* --- the rows of a long reply, in steps --- */

typedef struct PgRows {
  PgResult *of;
  const PgShape *shape;
  int names; /* index of the list of names */
  int first; /* index of the first name on the stack, or 0: they are not there */
  int list;  /* index of the list of rows */
  PgSlice reply;
  lua_Integer count, taken; /* rows */
} PgRows;

/* Prepares to push the rows of a reply; false: nil and an error are pushed. `of`, whose mode is
   PG_ROWS, and the block of the reply are to live until the last step. */
bool pg_result_begin(lua_State *L, PgRows *rows, PgResult *of, PgSlice reply);

/* Goes on for at least so many bytes of the reply, with the stack as the step before has left it.
   True: the list is pushed. */
bool pg_result_go(lua_State *L, PgRows *rows, size_t bytes);

/* Pushes the error object of an ErrorResponse. `list`, if not 0, is of a batch. */
void pg_result_push_error(lua_State *L, const PgMessage *message, const PgResult *of,
                          unsigned list);

/* The first error of the reply, if there is one. */
bool pg_result_find_error(PgSlice reply, PgMessage *message);

/* Does the error mean that the prepared statement is out of date, and has it ended no transaction?
   Then it can be prepared and run again. */
bool pg_result_is_stale(PgSlice reply, const PgMessage *error);

/* What the last command says it did: "INSERT 0 1". "" where there is none. */
const char *pg_result_tag(PgSlice reply);

#endif
