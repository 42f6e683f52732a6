#include "http/http_conditional.h"

#include "http/http_date.h"
#include <string.h>

/* --- entity tags (section 8.8.3) --- */

/* Takes an entity tag from the front: `tag` is the part between W/ and the end. */
static bool read_etag(HttpValue *in, HttpValue *tag, bool *weak) {
  const char *at = in->text, *end = at + in->len;
  *weak = end - at >= 2 && at[0] == 'W' && at[1] == '/';
  if (*weak) at += 2;
  const char *from = at;
  if (at == end || *at++ != '"') return false;
  while (at < end && *at != '"' && (unsigned char)*at > ' ' && *at != 0x7f) at++;
  if (at == end || *at++ != '"') return false;
  *tag = (HttpValue){from, (size_t)(at - from)};
  *in = (HttpValue){at, (size_t)(end - at)};
  return true;
}

/* Takes blanks and commas from the front. */
static void skip_separators(HttpValue *in) {
  while (in->len && memchr(" \t,", in->text[0], 3)) {
    in->text++;
    in->len--;
  }
}

/* Is the entity tag in the list, or is the list "*"? Weak tags match only if `weak` (section
   8.8.3.2). A list is read as far as it is well formed. */
static bool etag_in(HttpValue list, HttpValue etag, bool weak) {
  HttpValue wanted, tag;
  bool wanted_weak, tag_weak;
  if (list.len == 1 && list.text[0] == '*') return true;
  if (!etag.text || !read_etag(&etag, &wanted, &wanted_weak)) return false;
  for (skip_separators(&list); list.len && read_etag(&list, &tag, &tag_weak);
       skip_separators(&list))
    if (tag.len == wanted.len && !memcmp(tag.text, wanted.text, tag.len) &&
        (weak || (!tag_weak && !wanted_weak)))
      return true;
  return false;
}

/* --- conditions --- */

/* The time of a date header, if both it and the resource's time are known. */
static bool read_time(HttpValue value, const HttpValidators *is, int64_t *time) {
  return value.text && is->modified != HTTP_NO_TIME &&
         http_date_parse(value.text, value.len, is->now, time);
}

int http_conditional_status(const HttpConditions *given, const HttpValidators *is, bool safe) {
  int64_t time;
  if (given->if_match.text) {
    if (!etag_in(given->if_match, is->etag, false)) return 412;
  } else if (read_time(given->if_unmodified_since, is, &time)) {
    if (is->modified > time) return 412;
  }
  if (given->if_none_match.text) {
    if (etag_in(given->if_none_match, is->etag, true)) return safe ? 304 : 412;
  } else if (safe && read_time(given->if_modified_since, is, &time)) {
    if (is->modified <= time) return 304;
  }
  return 0;
}

bool http_conditional_range(const HttpConditions *given, const HttpValidators *is) {
  HttpValue value = given->if_range, tag;
  bool weak;
  int64_t time;
  if (!value.text) return true;
  HttpValue rest = value;
  if (read_etag(&rest, &tag, &weak)) return rest.len == 0 && etag_in(value, is->etag, false);
  /* A date is strong enough only if nothing can have changed in the same second (8.8.2.2). */
  return read_time(value, is, &time) && time == is->modified && is->modified < is->now - 1;
}
