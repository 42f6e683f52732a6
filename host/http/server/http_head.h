/* Checks of a request's head (RFC 9112 sections 2 to 6) beyond those of llhttp, and a fast way to
   read the most common heads without it. */
#ifndef ML_HTTP_HEAD_H
#define ML_HTTP_HEAD_H

#include "http/server/http_request.h"

/* Notes why the request is refused; the first reason is kept. Returns -1, for llhttp's
   callbacks. */
int http_head_refuse(HttpRequest *r, unsigned status, const char *detail);

/* Is the text a host, perhaps with a port, as a Host header may have it? */
bool http_head_host_ok(const char *host, const char *end);

/* Checks a whole head whose method, version and target are known; sets path, query, headers and
   expects. False: it was refused. */
bool http_head_check(HttpRequest *r);

/* Reads a complete, ordinary head at the start of `n` bytes, as llhttp would, in one pass and for a
   third of the cost. It must be a GET or a POST; if Content-Length announces a body, that must be
   among the bytes after the head. Returns the head's length, or 0 if anything needs a closer look
   (the request is incomplete, wrong, or framed differently): then nothing has been done. */
size_t http_head_read_plain(HttpRequest *r, size_t n);

#endif
