#include "sql/sqlite/sqlite_fault.h"

#include "sql/sqlite/sqlite_pool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* --- codes --- */

typedef struct Code {
  int code;
  const char *name;
} Code;

#define CODE(name)                                                                                 \
  { SQLITE_##name, "SQLITE_" #name }

static const Code codes[] = {CODE(CONSTRAINT_UNIQUE),
                             CODE(CONSTRAINT_PRIMARYKEY),
                             CODE(CONSTRAINT_ROWID),
                             CODE(CONSTRAINT_FOREIGNKEY),
                             CODE(CONSTRAINT_NOTNULL),
                             CODE(CONSTRAINT_CHECK),
                             CODE(CONSTRAINT_TRIGGER),
                             CODE(CONSTRAINT_DATATYPE),
                             CODE(CONSTRAINT_COMMITHOOK),
                             CODE(CONSTRAINT_FUNCTION),
                             CODE(CONSTRAINT_VTAB),
                             CODE(CONSTRAINT_PINNED),
                             CODE(BUSY_SNAPSHOT),
                             CODE(BUSY_RECOVERY),
                             CODE(BUSY_TIMEOUT),
                             CODE(LOCKED_SHAREDCACHE),
                             CODE(LOCKED_VTAB),
                             CODE(READONLY_ROLLBACK),
                             CODE(READONLY_DBMOVED),
                             CODE(READONLY_CANTINIT),
                             CODE(READONLY_DIRECTORY),
                             CODE(READONLY_CANTLOCK),
                             CODE(READONLY_RECOVERY),
                             CODE(CANTOPEN_ISDIR),
                             CODE(CANTOPEN_FULLPATH),
                             CODE(CANTOPEN_SYMLINK),
                             CODE(CANTOPEN_DIRTYWAL),
                             CODE(CANTOPEN_NOTEMPDIR),
                             CODE(CORRUPT_VTAB),
                             CODE(CORRUPT_SEQUENCE),
                             CODE(CORRUPT_INDEX),
                             CODE(ABORT_ROLLBACK),
                             CODE(AUTH_USER),
                             CODE(ERROR_MISSING_COLLSEQ),
                             CODE(ERROR_RETRY),
                             CODE(ERROR_SNAPSHOT),
                             CODE(IOERR_READ),
                             CODE(IOERR_SHORT_READ),
                             CODE(IOERR_WRITE),
                             CODE(IOERR_FSYNC),
                             CODE(IOERR_DIR_FSYNC),
                             CODE(IOERR_TRUNCATE),
                             CODE(IOERR_FSTAT),
                             CODE(IOERR_UNLOCK),
                             CODE(IOERR_RDLOCK),
                             CODE(IOERR_DELETE),
                             CODE(IOERR_NOMEM),
                             CODE(IOERR_ACCESS),
                             CODE(IOERR_LOCK),
                             CODE(IOERR_CLOSE),
                             CODE(IOERR_SHMOPEN),
                             CODE(IOERR_SHMSIZE),
                             CODE(IOERR_SHMLOCK),
                             CODE(IOERR_SHMMAP),
                             CODE(IOERR_SEEK),
                             CODE(IOERR_MMAP),
                             CODE(IOERR_CORRUPTFS),
                             CODE(ERROR),
                             CODE(INTERNAL),
                             CODE(PERM),
                             CODE(ABORT),
                             CODE(BUSY),
                             CODE(LOCKED),
                             CODE(NOMEM),
                             CODE(READONLY),
                             CODE(INTERRUPT),
                             CODE(IOERR),
                             CODE(CORRUPT),
                             CODE(NOTFOUND),
                             CODE(FULL),
                             CODE(CANTOPEN),
                             CODE(PROTOCOL),
                             CODE(EMPTY),
                             CODE(SCHEMA),
                             CODE(TOOBIG),
                             CODE(CONSTRAINT),
                             CODE(MISMATCH),
                             CODE(MISUSE),
                             CODE(NOLFS),
                             CODE(AUTH),
                             CODE(FORMAT),
                             CODE(RANGE),
                             CODE(NOTADB)};

static const char *name_of(int code) {
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    if (codes[i].code == code) return codes[i].name;
  }
  return NULL;
}

const char *sqlite_fault_code(const SqliteFault *fault) {
  if (fault->code <= 0) return NULL;
  const char *name = name_of(fault->code);
  return name ? name : name_of(fault->code & 0xff);
}

/* --- kinds --- */

static const char *constraint_kind(int code) {
  switch (code) {
  case SQLITE_CONSTRAINT_UNIQUE:
  case SQLITE_CONSTRAINT_PRIMARYKEY:
  case SQLITE_CONSTRAINT_ROWID:
    return "unique";
  case SQLITE_CONSTRAINT_FOREIGNKEY:
    return "foreign_key";
  case SQLITE_CONSTRAINT_NOTNULL:
    return "not_null";
  case SQLITE_CONSTRAINT_CHECK:
  case SQLITE_CONSTRAINT_DATATYPE:
    return "check";
  default:
    return "sql";
  }
}

const char *sqlite_fault_kind(const SqliteFault *fault) {
  switch (fault->code) {
  case SQLITE_POOL_CLOSED:
    return "closed";
  case SQLITE_POOL_BUSY:
  case SQLITE_POOL_THREAD:
    return "pool";
  case SQLITE_POOL_TIMEOUT:
    return "timeout";
  case SQLITE_CONNECTION_LARGE:
    return "limit";
  default:
    break;
  }
  switch (fault->code & 0xff) {
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
    return "busy";
  case SQLITE_CONSTRAINT:
    return constraint_kind(fault->code);
  case SQLITE_AUTH:
    return "auth";
  case SQLITE_INTERRUPT:
    return "timeout";
  case SQLITE_ERROR:
    return fault->in_prepare || fault->is_own ? "syntax" : "sql";
  default:
    return "sql";
  }
}

/* --- what it is about --- */

static void copy(char to[128], const char *from, size_t n) {
  if (n > 127) n = 127;
  memcpy(to, from, n);
  to[n] = 0;
}

/* "UNIQUE constraint failed: users.email, users.name", "CHECK constraint failed: adult" */
void sqlite_fault_subject(const SqliteFault *fault, SqliteSubject *subject) {
  *subject = (SqliteSubject){0};
  if (fault->code <= 0 || (fault->code & 0xff) != SQLITE_CONSTRAINT || !fault->message) return;
  const char *text = strstr(fault->message, "constraint failed: ");
  if (!text) return;
  text += strlen("constraint failed: ");
  const char *dot = strchr(text, '.');
  if (fault->code == SQLITE_CONSTRAINT_CHECK) {
    copy(subject->constraint, text, strlen(text));
  } else if (strncmp(text, "index '", 7) == 0) { /* of an expression */
    size_t n = strlen(text + 7);
    copy(subject->constraint, text + 7, n ? n - 1 : 0);
  } else if (dot) {
    copy(subject->table, text, (size_t)(dot - text));
    copy(subject->column, dot + 1, strcspn(dot + 1, ","));
  }
}

/* --- messages --- */

static bool is_of_the_file(int code) {
  switch (code & 0xff) {
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
  case SQLITE_READONLY:
  case SQLITE_IOERR:
  case SQLITE_CORRUPT:
  case SQLITE_FULL:
  case SQLITE_CANTOPEN:
  case SQLITE_PROTOCOL:
  case SQLITE_NOTADB:
  case SQLITE_PERM:
    return true;
  default:
    return false;
  }
}

/* Why a file cannot be opened: SQLite itself does not say. Where it may not write, it tries again
   to read only, and says then that there is no such file. */
static void say_why(const char *path, bool makes, int system_error, char *text, size_t size) {
  struct stat st;
  const char *slash = strrchr(path, '/');
  char folder[512];
  snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
  if (slash == path) strcpy(folder, "/");
  if (stat(folder, &st) != 0)
    snprintf(text, size, " (there is no folder %s)", folder);
  else if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
    snprintf(text, size, " (it is a folder)");
  else if (makes && system_error == ENOENT)
    snprintf(text, size,
             " (it is not there, and cannot be made in %s: see who may write there, and --sandbox)",
             folder);
  else if (system_error)
    snprintf(text, size, " (%s)", uv_strerror(-system_error));
}

static const char *advice(int code) {
  switch (code & 0xff) {
  case SQLITE_BUSY:
    return ": another process, or another database object, held it for longer than `timeout`";
  case SQLITE_FULL:
    return ": no space is left for it";
  default:
    return "";
  }
}

void sqlite_fault_describe(const SqliteFault *fault, const char *path, bool makes, char *text,
                           size_t size) {
  const char *message = fault->message ? fault->message : "not enough memory";
  char why[600] = "", set[64] = "";
  if (fault->set) snprintf(set, sizeof set, "list %ld of the batch: ", fault->set);
  if (fault->code <= 0 || fault->is_own || !is_of_the_file(fault->code)) {
    snprintf(text, size, "%s%s", set, message);
    return;
  }
  if ((fault->code & 0xff) == SQLITE_CANTOPEN)
    say_why(path, makes, fault->system_error, why, sizeof why);
  snprintf(text, size, "%s%s: %s%s%s", set, path, message, why, advice(fault->code));
}
