/* What a server answers by itself, and how any response is framed (http_connection_framing). */
#ifndef ML_HTTP_ANSWER_H
#define ML_HTTP_ANSWER_H

#include "http_connection.h"

/* The framing is in doubt, or the rest of the request is not wanted: answers and closes. */
void http_answer_refuse(HttpConnection *c, int status, const char *detail);

/* Answers the current request, for which no route was found. */
void http_answer_without_route(HttpConnection *c);

#endif
