#include "sql/sql_text.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct Scan {
  SqlText *out;
  SqlTextError *error;
  const char *sql;
  size_t len, at;
  size_t copied; /* how much of the source is in out->text */
  size_t bare;   /* where the last comment or string ended */
  SqlDialect dialect;
  unsigned name_count, names_cap, places_cap;
  unsigned brackets;        /* [ without its ] */
  bool numbered;            /* $n was seen */
  bool ended;               /* a ; was seen */
  bool creates, has_blocks; /* CREATE ... BEGIN: each ; may be inside of the statement */
} Scan;

static bool is_digit(unsigned char c) { return c >= '0' && c <= '9'; }

/* Bytes from 0x80 on belong to names, in both databases. */
static bool starts_name(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}

static bool in_name(unsigned char c) { return starts_name(c) || is_digit(c); }

static bool is_space(unsigned char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static unsigned char char_at(const Scan *s, size_t at) { return at < s->len ? s->sql[at] : 0; }

static bool fail(Scan *s, size_t offset, const char *message) {
  s->error->offset = offset;
  snprintf(s->error->message, sizeof s->error->message, "%s", message);
  return false;
}

static bool no_memory(Scan *s) { return fail(s, 0, "out of memory"); }

/* Makes room for one more in an array. */
static void *grown(void *array, unsigned count, unsigned *cap, size_t size) {
  if (count < *cap) return array;
  unsigned more = *cap ? *cap * 2 : 8;
  void *larger = realloc(array, more * size);
  if (larger) *cap = more;
  return larger;
}

/* Goes behind the closing quote, or to the end: the server says what is wrong there. A doubled
   quote reads as an end and a beginning. */
static void skip_quoted(Scan *s, char quote, bool escapes) {
  s->at++;
  while (s->at < s->len && s->sql[s->at] != quote) {
    if (escapes && s->sql[s->at] == '\\') s->at++;
    s->at++;
  }
  if (s->at < s->len)
    s->at++;
  else
    s->at = s->len;
}

static void skip_line_comment(Scan *s) {
  const char *end = memchr(s->sql + s->at, '\n', s->len - s->at);
  s->at = end ? (size_t)(end - s->sql) + 1 : s->len;
}

static void skip_block_comment(Scan *s) {
  unsigned depth = 1;
  s->at += 2;
  while (s->at < s->len && depth) {
    char c = s->sql[s->at], next = (char)char_at(s, s->at + 1);
    if (c == '*' && next == '/') {
      depth--;
      s->at += 2;
    } else if (c == '/' && next == '*' && s->dialect == SQL_POSTGRES) {
      depth++;
      s->at += 2;
    } else {
      s->at++;
    }
  }
}

/* At a `$`: goes behind `$tag$...$tag$`, or returns false where none begins. */
static bool skip_dollar_quoted(Scan *s) {
  size_t end = s->at + 1;
  if (!is_digit(char_at(s, end)))
    while (in_name(char_at(s, end))) end++;
  if (char_at(s, end) != '$') return false;
  size_t tag = end + 1 - s->at;
  const char *close = memmem(s->sql + end + 1, s->len - end - 1, s->sql + s->at, tag);
  s->at = close ? (size_t)(close - s->sql) + tag : s->len;
  return true;
}

/* The parameter `number`, in place of the source's bytes [from, at). */
static bool add_place(Scan *s, size_t from, unsigned number) {
  SqlText *out = s->out;
  SqlPlace *places = grown(out->places, out->place_count, &s->places_cap, sizeof *places);
  if (!places) return no_memory(s);
  out->places = places;
  if (!buffer_add(&out->text, s->sql + s->copied, from - s->copied)) return no_memory(s);
  size_t bare = from - (s->bare > s->copied ? s->bare : s->copied);
  s->copied = s->at;
  /* `limit:n` must not become the name `limit$1`. */
  if (from && (in_name((unsigned char)s->sql[from - 1]) || s->sql[from - 1] == '$') &&
      !buffer_add_char(&out->text, ' '))
    return no_memory(s);
  size_t offset = out->text.len;
  if (!buffer_printf(&out->text, "$%u", number)) return no_memory(s);
  places[out->place_count++] = (SqlPlace){.offset = (uint32_t)offset,
                                          .len = (uint32_t)(out->text.len - offset),
                                          .number = number,
                                          .bare = (uint32_t)bare};
  if (number > out->parameters) out->parameters = number;
  return true;
}

static bool add_number(Scan *s) {
  size_t from = s->at++;
  unsigned number = 0;
  while (is_digit(char_at(s, s->at)) && number <= SQL_TEXT_PARAMETERS)
    number = number * 10 + (unsigned)(s->sql[s->at++] - '0');
  if (number < 1 || number > SQL_TEXT_PARAMETERS)
    return fail(s, from, "a parameter's number is from $1 to $65535");
  if (s->name_count) return fail(s, from, "parameters are all $1, $2, ... or all :name, not both");
  s->numbered = true;
  return add_place(s, from, number);
}

static bool add_name(Scan *s) {
  size_t from = s->at++, start = s->at;
  while (in_name(char_at(s, s->at))) s->at++;
  size_t len = s->at - start;
  if (s->numbered) return fail(s, from, "parameters are all $1, $2, ... or all :name, not both");
  unsigned i = 0;
  for (; i < s->name_count; i++) {
    const SqlName *name = &s->out->names[i];
    if (name->len == len && memcmp(s->sql + name->offset, s->sql + start, len) == 0) break;
  }
  if (i == s->name_count) {
    if (i == SQL_TEXT_PARAMETERS) return fail(s, from, "more than 65535 parameters");
    SqlName *names = grown(s->out->names, i, &s->names_cap, sizeof *names);
    if (!names) return no_memory(s);
    s->out->names = names;
    names[s->name_count++] = (SqlName){.offset = (uint32_t)start, .len = (uint32_t)len};
  }
  return add_place(s, from, i + 1);
}

/* In `x[a:b]` the colon has the end of an expression before it, and no name of ours. */
static bool is_slice(const Scan *s) {
  unsigned char before = s->at ? s->sql[s->at - 1] : 0;
  return s->brackets && (in_name(before) || before == ']' || before == ')' || before == '"');
}

static bool word_is(const Scan *s, size_t from, const char *word) {
  size_t len = strlen(word);
  if (s->at - from != len) return false;
  for (size_t i = 0; i < len; i++)
    if ((s->sql[from + i] | 0x20) != word[i]) return false;
  return true;
}

static void skip_word(Scan *s) {
  size_t from = s->at;
  while (in_name(char_at(s, s->at)) || char_at(s, s->at) == '$') s->at++;
  char *keyword = s->out->keyword;
  if (!*keyword) {
    for (size_t i = 0; i < SQL_TEXT_KEYWORD - 1 && from + i < s->at; i++) {
      char c = s->sql[from + i];
      keyword[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    s->creates = word_is(s, from, "create");
  } else if (s->creates && word_is(s, from, "begin")) {
    s->has_blocks = true;
  }
}

/* One character that is neither space, comment, string nor word; or a parameter. */
static bool scan_sign(Scan *s) {
  unsigned char c = s->sql[s->at], next = char_at(s, s->at + 1);
  switch (c) {
  case '$':
    if (is_digit(next)) return add_number(s);
    if (s->dialect == SQL_SQLITE && starts_name(next))
      return fail(s, s->at, "a parameter is written $1 or :name, not $name");
    break;
  case ':':
    if (next == ':' || next == '=') {
      s->at += 2;
      return true;
    }
    if (starts_name(next) && !is_slice(s)) return add_name(s);
    break;
  case '?':
  case '@':
    if (s->dialect == SQL_SQLITE)
      return fail(s, s->at,
                  c == '?' ? "a parameter is written $1 or :name, not ?"
                           : "a parameter is written $1 or :name, not @name");
    break;
  case '[':
    s->brackets++;
    break;
  case ']':
    if (s->brackets) s->brackets--;
    break;
  default:
    break;
  }
  s->at++;
  return true;
}

static bool scan_next(Scan *s) {
  unsigned char c = s->sql[s->at], next = char_at(s, s->at + 1);
  if (is_space(c)) {
    s->at++;
    return true;
  }
  if (c == '-' && next == '-') {
    skip_line_comment(s);
    s->bare = s->at;
    return true;
  }
  if (c == '/' && next == '*') {
    skip_block_comment(s);
    s->bare = s->at;
    return true;
  }
  if (c == ';') {
    s->ended = true;
    s->at++;
    return true;
  }
  if (s->ended && !s->has_blocks) s->out->several = true;
  if (c == '\'' || c == '"' || (c == '`' && s->dialect == SQL_SQLITE)) {
    skip_quoted(s, (char)c, false);
    s->bare = s->at;
    return true;
  }
  if (c == '[' && s->dialect == SQL_SQLITE) {
    skip_quoted(s, ']', false);
    s->bare = s->at;
    return true;
  }
  if (s->dialect == SQL_POSTGRES) {
    if (c == '$' && skip_dollar_quoted(s)) return true;
    if ((c | 0x20) == 'e' && next == '\'') {
      s->at++;
      skip_quoted(s, '\'', true);
      return true;
    }
  }
  if (in_name(c)) {
    skip_word(s);
    return true;
  }
  return scan_sign(s);
}

bool sql_text_scan(SqlText *text, const char *sql, size_t len, SqlDialect dialect,
                   SqlTextError *error) {
  Scan s = {.out = text, .error = error, .sql = sql, .len = len, .dialect = dialect};
  if (len > UINT32_MAX / 8) return fail(&s, 0, "the statement is longer than 512 MB");
  if (memchr(sql, 0, len)) return fail(&s, strlen(sql), "the statement holds a NUL byte");
  while (s.at < len)
    if (!scan_next(&s)) return false;
  if (!buffer_add(&text->text, sql + s.copied, len - s.copied) || !buffer_reserve(&text->text, 1))
    return no_memory(&s);
  text->text.data[text->text.len] = 0;
  return true;
}

void sql_text_free(SqlText *text) {
  buffer_free(&text->text);
  free(text->names);
  free(text->places);
  *text = (SqlText){0};
}
