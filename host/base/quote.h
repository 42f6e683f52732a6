/* Texts from outside, for logs and terminals: no character in them is obeyed by a terminal, ends a
   line, or turns the order of what is shown around. */
#ifndef ML_QUOTE_H
#define ML_QUOTE_H

#include "base/buffer.h"

/* Adds the text as it stands between the quotes of a JSON string. A byte that is no UTF-8 becomes
   \xNN, as text. False if memory is out. */
bool quote_json(Buffer *out, const char *text, size_t n);

/* Adds the text as people read it: one line, of which only what is not shown, or is no UTF-8, is
   written as \xNN, \n or \r. Tabs stay. False if memory is out. */
bool quote_text(Buffer *out, const char *text, size_t n);

/* Adds a value that is JSON already. The same characters in its strings are escaped. */
bool quote_json_value(Buffer *out, const char *json, size_t n);

#endif
