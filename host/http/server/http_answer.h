/* The answers that a server makes by itself. */
#ifndef ML_HTTP_ANSWER_H
#define ML_HTTP_ANSWER_H

#include "http/server/http_connection.h"

/* Answers with {"detail": detail} instead of a handler. `headers`: whole lines, or "". */
void http_answer_detail(HttpConnection *c, int status, const char *detail, const char *headers);

/* The framing is in doubt, or the rest of the request is not wanted: answers and closes. */
void http_answer_refuse(HttpConnection *c, int status, const char *detail);

/* Answers the current request, for which no route was found. */
void http_answer_without_route(HttpConnection *c);

#endif
