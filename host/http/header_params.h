/* Header values with parameters: `form-data; name="a"; filename="b.txt"`, `text/html; charset=x`
   (RFC 9110 section 5.6.6). Nothing here allocates. */
#ifndef ML_HEADER_PARAMS_H
#define ML_HEADER_PARAMS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct HeaderParam {
  const char *name, *value; /* a quoted value without its quotes */
  size_t name_len, value_len;
  bool quoted;
} HeaderParam;

/* Takes the word before the first ';' from `*text[0..*n)`, without spaces around it; it may be
   empty. */
void header_params_begin(const char **text, size_t *n, const char **word, size_t *word_len);

/* Takes the next parameter. Returns 1, 0 at the end, or -1 if it is not a parameter: a name that is
   not a token, a missing '=', a value that is neither a token nor a closed quoted string, or
   anything after it but ';'. Unquoted values may contain every byte except spaces, quotes and ';',
   as boundaries do. */
int header_params_next(const char **text, size_t *n, HeaderParam *param);

/* Copies the value to `out`, which has room for value_len bytes, and returns its length. In a
   quoted value, a backslash escapes only '"' and '\'; otherwise it stands for itself, as in
   browsers' file names. */
size_t header_params_unquote(const HeaderParam *param, char *out);

#endif
