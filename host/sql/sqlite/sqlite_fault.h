/* What went wrong, in the words of the contract: kinds, codes, and which column it was about. */
#ifndef ML_SQLITE_FAULT_H
#define ML_SQLITE_FAULT_H

#include "sql/sqlite/sqlite_job.h"

/* The kind of the error object: "unique", "busy", "sql", ... */
const char *sqlite_fault_kind(const SqliteFault *fault);

/* "SQLITE_CONSTRAINT_UNIQUE"; NULL for what is not SQLite's. */
const char *sqlite_fault_code(const SqliteFault *fault);

/* What a failed constraint is about; empty texts where it is not said. */
typedef struct SqliteSubject {
  char table[128], column[128], constraint[128];
} SqliteSubject;
void sqlite_fault_subject(const SqliteFault *fault, SqliteSubject *subject);

/* Writes the message: what, and where that is the file. `makes`: it was to be made if it is not
 * there. */
void sqlite_fault_describe(const SqliteFault *fault, const char *path, bool makes, char *text,
                           size_t size);

#endif
