/* libsqlite3, loaded when it is first needed: a script that uses no SQLite does not pay for it. */
#ifndef ML_SQLITE_LIBRARY_H
#define ML_SQLITE_LIBRARY_H

#include <sqlite3.h>

/* The functions of libsqlite3 that the host calls. */
#define SQLITE_FUNCTIONS(X)                                                                        \
  X(bind_blob64)                                                                                   \
  X(bind_double)                                                                                   \
  X(bind_int64)                                                                                    \
  X(bind_null)                                                                                     \
  X(bind_parameter_count)                                                                          \
  X(bind_parameter_name)                                                                           \
  X(bind_text64)                                                                                   \
  X(busy_handler)                                                                                  \
  X(changes64)                                                                                     \
  X(close_v2)                                                                                      \
  X(column_blob)                                                                                   \
  X(column_bytes)                                                                                  \
  X(column_count)                                                                                  \
  X(column_decltype)                                                                               \
  X(column_double)                                                                                 \
  X(column_int64)                                                                                  \
  X(column_name)                                                                                   \
  X(column_text)                                                                                   \
  X(column_type)                                                                                   \
  X(db_config)                                                                                     \
  X(errmsg)                                                                                        \
  X(error_offset)                                                                                  \
  X(extended_errcode)                                                                              \
  X(extended_result_codes)                                                                         \
  X(finalize)                                                                                      \
  X(get_autocommit)                                                                                \
  X(interrupt)                                                                                     \
  X(open_v2)                                                                                       \
  X(prepare_v3)                                                                                    \
  X(progress_handler)                                                                              \
  X(reset)                                                                                         \
  X(step)                                                                                          \
  X(stmt_readonly)                                                                                 \
  X(stmt_status)                                                                                   \
  X(system_errno)                                                                                  \
  X(threadsafe)

#define SQLITE_MEMBER(name) __typeof__(sqlite3_##name) *name;
typedef struct SqliteLibrary {
  SQLITE_FUNCTIONS(SQLITE_MEMBER)
} SqliteLibrary;
#undef SQLITE_MEMBER

/* libsqlite3's functions, loaded once a process, from any thread. NULL when that failed: then
   `*error` is why, a string that lives as long as the process. */
const SqliteLibrary *sqlite_library(const char **error);

#endif
