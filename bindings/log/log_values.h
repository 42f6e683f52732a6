/* Lua values as fields of an entry. */
#ifndef ML_LOG_VALUES_H
#define ML_LOG_VALUES_H

#include "base/buffer.h"
#include "log/log_fields.h"

#include <lua.h>

/* Fields with the memory of their texts. All zero is empty. */
typedef struct LogValues {
  Buffer texts;
  size_t n;
  struct LogValue {
    size_t name, name_len, value, value_len; /* where they are in the texts */
    LogFieldKind kind;
  } list[LOG_FIELDS_MAX];
} LogValues;

/* Adds the fields of the table at `index`, sorted by name: strings, numbers and booleans as they
   are, tables as JSON down to a depth, error objects as their text and one field for each of their
   own fields and the chain of their causes; of anything else its text. Values of secret names
   (secret_name.h) are hidden, in tables, too. Long and large values are cut. May run __tostring;
   raises nothing. False if memory is out. */
bool log_values_add_table(lua_State *L, int index, LogValues *values);

/* Adds the fields of the error object at `index`, called `name`; `with_text`: its text, too. */
bool log_values_add_error(lua_State *L, int index, const char *name, bool with_text,
                          LogValues *values);

/* Adds them to a list of fields, which is valid as long as the values are. */
void log_values_list(const LogValues *values, LogFields *fields);

void log_values_free(LogValues *values);

#endif
