#include "log/log_fields.h"

#include <stdlib.h>
#include <string.h>

void log_fields_add(LogFields *fields, LogField field) {
  bool is_context = field.kind == LOG_FIELD_CONTEXT;
  if (fields->n >= LOG_FIELDS_MAX + (is_context ? LOG_FIELDS_CONTEXT : 0)) return;
  for (size_t i = 0; i < fields->n; i++) {
    LogField *f = &fields->list[i];
    if (f->name_len != field.name_len || memcmp(f->name, field.name, field.name_len) != 0) continue;
    if (!is_context || f->kind == LOG_FIELD_CONTEXT) return;
    f->gives_way = true;
  }
  fields->list[fields->n++] = field;
}

void log_fields_add_text(LogFields *fields, LogFieldKind kind, const char *name,
                         const char *value) {
  if (!value || !*value) return;
  log_fields_add(fields, (LogField){name, value, strlen(name), strlen(value), kind, false});
}

size_t log_fields_size(const LogFields *fields) {
  size_t size = sizeof(LogKeptFields) + fields->n * sizeof(LogField);
  for (size_t i = 0; i < fields->n; i++)
    size += fields->list[i].name_len + fields->list[i].value_len;
  return size;
}

static const char *copy(char **to, const char *text, size_t n) {
  char *at = *to;
  memcpy(at, text, n);
  *to += n;
  return at;
}

LogKeptFields *log_fields_keep(const LogFields *fields, void *memory) {
  LogKeptFields *kept = memory;
  char *texts = (char *)&kept->list[fields->n];
  kept->n = fields->n;
  for (size_t i = 0; i < fields->n; i++) {
    LogField *f = &kept->list[i];
    *f = fields->list[i];
    f->name = copy(&texts, f->name, f->name_len);
    f->value = copy(&texts, f->value, f->value_len);
  }
  return kept;
}

LogEntry *log_fields_keep_entry(const LogEntry *entry) {
  LogFields fields;
  size_t room = sizeof fields.list / sizeof *fields.list;
  fields.n = entry->n_fields < room ? entry->n_fields : room;
  memcpy(fields.list, entry->fields, fields.n * sizeof *fields.list);
  size_t size = log_fields_size(&fields);
  char *memory = malloc(sizeof(LogEntry) + size + entry->message_len);
  if (!memory) return NULL;
  LogEntry *kept = (LogEntry *)memory;
  char *message = memory + sizeof *kept + size;
  memcpy(message, entry->message, entry->message_len);
  *kept = *entry;
  kept->message = message;
  kept->fields = log_fields_keep(&fields, memory + sizeof *kept)->list;
  kept->n_fields = fields.n;
  return kept;
}

void log_fields_add_kept(LogFields *fields, const LogKeptFields *kept) {
  for (size_t i = 0; kept && i < kept->n; i++) log_fields_add(fields, kept->list[i]);
}
