/* What a request's head must be (RFC 9112 sections 2 to 6) beyond what llhttp checks, and reading
   the most common ones without it. */
#ifndef ML_HTTP_HEAD_H
#define ML_HTTP_HEAD_H

#include "http_request.h"

/* Notes why the request is refused; the first reason stands. Returns -1, for llhttp's callbacks. */
int http_request_refuse(HttpRequest *r, unsigned status, const char *detail);

/* So far: the version comes behind the target. */
static inline bool http_head_line_is_too_long(const HttpRequest *r) {
  return r->target.at + r->target.len + sizeof " HTTP/1.1" - 1 > r->limits->max_request_line;
}

/* Checks a whole head whose method, version and target are known; sets path, query, headers and
   expects. False: it was refused. */
bool http_head_check(HttpRequest *r);

/* Reads a whole and ordinary head, the first of `n` bytes, as llhttp would, in one pass over it: it
   costs a third. It is that of a GET or a POST whose body, where Content-Length says that there is
   one, is among the bytes behind it. Returns its length, or 0 where anything needs a closer look
   (the request goes on, is wrong, or framed otherwise): then nothing has been done. */
size_t http_head_read_plain(HttpRequest *r, size_t n);

#endif
