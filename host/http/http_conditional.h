/* Conditional requests (RFC 9110 section 13): may the request proceed, given what the client knows
   about the resource? */
#ifndef ML_HTTP_CONDITIONAL_H
#define ML_HTTP_CONDITIONAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A header's value, with its lines joined by commas; NULL if the request has none. */
typedef struct HttpValue {
  const char *text;
  size_t len;
} HttpValue;

typedef struct HttpConditions {
  HttpValue if_match, if_none_match, if_modified_since, if_unmodified_since, if_range;
} HttpConditions;

#define HTTP_NO_TIME INT64_MIN

/* What is known about the resource, which exists. */
typedef struct HttpValidators {
  HttpValue etag;   /* with its quotes, and W/ if it is weak; or NULL */
  int64_t modified; /* seconds since 1970, as sent in Last-Modified; or HTTP_NO_TIME */
  int64_t now;      /* the same clock */
} HttpValidators;

/* Section 13.2.2, without its last step: 0 if the request proceeds as usual, 304 (for `safe`, that
   is GET and HEAD) or 412. Dates that cannot be read are ignored. */
int http_conditional_status(const HttpConditions *given, const HttpValidators *is, bool safe);

/* The last step: may Range be respected? True without If-Range. */
bool http_conditional_range(const HttpConditions *given, const HttpValidators *is);

#endif
