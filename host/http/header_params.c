#include "http/header_params.h"
#include "http/http_header.h"

#include <string.h>

static bool is_space(char c) { return c == ' ' || c == '\t'; }

static void skip_spaces(const char **text, size_t *n) {
  while (*n && is_space(**text)) {
    ++*text;
    --*n;
  }
}

static void skip(const char **text, size_t *n, size_t used) {
  *text += used;
  *n -= used;
}

void header_params_begin(const char **text, size_t *n, const char **word, size_t *word_len) {
  skip_spaces(text, n);
  const char *semicolon = memchr(*text, ';', *n);
  size_t len = semicolon ? (size_t)(semicolon - *text) : *n;
  *word = *text;
  skip(text, n, len);
  while (len && is_space((*word)[len - 1])) len--;
  *word_len = len;
}

/* The length of the quoted string at `text`, after its first quote; -1 if it is not closed. */
static long quoted_length(const char *text, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (text[i] == '"') return (long)i;
    if (text[i] == '\\' && i + 1 < n && (text[i + 1] == '"' || text[i + 1] == '\\')) i++;
  }
  return -1;
}

static size_t plain_length(const char *text, size_t n) {
  size_t i = 0;
  while (i < n && !is_space(text[i]) && text[i] != ';' && text[i] != '"') i++;
  return i;
}

int header_params_next(const char **text, size_t *n, HeaderParam *param) {
  skip_spaces(text, n);
  while (*n && **text == ';') { /* empty ones are allowed */
    skip(text, n, 1);
    skip_spaces(text, n);
  }
  if (!*n) return 0;
  const char *equals = memchr(*text, '=', *n);
  if (!equals) return -1;
  *param = (HeaderParam){.name = *text, .name_len = (size_t)(equals - *text)};
  if (!http_header_name_ok(param->name, param->name_len)) return -1;
  skip(text, n, param->name_len + 1);
  param->quoted = *n && **text == '"';
  if (param->quoted) {
    skip(text, n, 1);
    long len = quoted_length(*text, *n);
    if (len < 0) return -1;
    param->value_len = (size_t)len;
  } else {
    param->value_len = plain_length(*text, *n);
    if (!param->value_len) return -1;
  }
  param->value = *text;
  skip(text, n, param->value_len + param->quoted);
  skip_spaces(text, n);
  return *n && **text != ';' ? -1 : 1;
}

size_t header_params_unquote(const HeaderParam *param, char *out) {
  size_t len = 0;
  for (size_t i = 0; i < param->value_len; i++) {
    char c = param->value[i];
    if (param->quoted && c == '\\' && i + 1 < param->value_len) {
      char next = param->value[i + 1];
      if (next == '"' || next == '\\') {
        c = next;
        i++;
      }
    }
    out[len++] = c;
  }
  return len;
}
