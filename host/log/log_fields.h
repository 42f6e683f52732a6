/* Lists of fields: collected where an entry is made, or kept for entries to come. */
#ifndef ML_LOG_FIELDS_H
#define ML_LOG_FIELDS_H

#include "log/log_entry.h"

/* Those of the context have room of their own: a client may have chosen the others. */
enum { LOG_FIELDS_MAX = 64, LOG_FIELDS_CONTEXT = 8 };

typedef struct LogFields {
  size_t n;
  LogField list[LOG_FIELDS_MAX + LOG_FIELDS_CONTEXT];
} LogFields;

/* Adds the field, unless there is one of that name, which counts, or the list is full. A field of
   the context counts more than any other, which gives way to it. Does not copy texts. */
void log_fields_add(LogFields *fields, LogField field);

/* The same for a text that ends with a NUL; NULL and "" are left out. */
void log_fields_add_text(LogFields *fields, LogFieldKind kind, const char *name, const char *value);

/* A list that owns its texts, in one block of memory. */
typedef struct LogKeptFields {
  size_t n;
  LogField list[];
} LogKeptFields;

/* Bytes that log_fields_keep needs. */
size_t log_fields_size(const LogFields *fields);

/* Copies the list and its texts to `memory`, of log_fields_size bytes. */
LogKeptFields *log_fields_keep(const LogFields *fields, void *memory);

/* Copies the entry with its fields and texts into one block, which the caller frees; NULL if memory
   is out. */
LogEntry *log_fields_keep_entry(const LogEntry *entry);

/* Adds those of a kept list, or none for NULL. */
void log_fields_add_kept(LogFields *fields, const LogKeptFields *kept);

#endif
