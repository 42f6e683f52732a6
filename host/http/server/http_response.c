#include "http/server/http_response.h"

#include "http/http_date.h"
#include "json/json_number.h"
#include <stdio.h>

#define LITERAL(text) (text), sizeof(text) - 1

const char *http_response_reason(int status) {
  switch (status) {
  case 101:
    return "Switching Protocols";
  case 200:
    return "OK";
  case 201:
    return "Created";
  case 202:
    return "Accepted";
  case 203:
    return "Non-Authoritative Information";
  case 204:
    return "No Content";
  case 205:
    return "Reset Content";
  case 206:
    return "Partial Content";
  case 207:
    return "Multi-Status";
  case 208:
    return "Already Reported";
  case 226:
    return "IM Used";
  case 300:
    return "Multiple Choices";
  case 301:
    return "Moved Permanently";
  case 302:
    return "Found";
  case 303:
    return "See Other";
  case 304:
    return "Not Modified";
  case 307:
    return "Temporary Redirect";
  case 308:
    return "Permanent Redirect";
  case 400:
    return "Bad Request";
  case 401:
    return "Unauthorized";
  case 402:
    return "Payment Required";
  case 403:
    return "Forbidden";
  case 404:
    return "Not Found";
  case 405:
    return "Method Not Allowed";
  case 406:
    return "Not Acceptable";
  case 407:
    return "Proxy Authentication Required";
  case 408:
    return "Request Timeout";
  case 409:
    return "Conflict";
  case 410:
    return "Gone";
  case 411:
    return "Length Required";
  case 412:
    return "Precondition Failed";
  case 413:
    return "Content Too Large";
  case 414:
    return "URI Too Long";
  case 415:
    return "Unsupported Media Type";
  case 416:
    return "Range Not Satisfiable";
  case 417:
    return "Expectation Failed";
  case 418:
    return "I'm a Teapot";
  case 421:
    return "Misdirected Request";
  case 422:
    return "Unprocessable Content";
  case 423:
    return "Locked";
  case 424:
    return "Failed Dependency";
  case 425:
    return "Too Early";
  case 426:
    return "Upgrade Required";
  case 428:
    return "Precondition Required";
  case 429:
    return "Too Many Requests";
  case 431:
    return "Request Header Fields Too Large";
  case 451:
    return "Unavailable For Legal Reasons";
  case 500:
    return "Internal Server Error";
  case 501:
    return "Not Implemented";
  case 502:
    return "Bad Gateway";
  case 503:
    return "Service Unavailable";
  case 504:
    return "Gateway Timeout";
  case 505:
    return "HTTP Version Not Supported";
  case 507:
    return "Insufficient Storage";
  case 508:
    return "Loop Detected";
  case 511:
    return "Network Authentication Required";
  default:
    return "Unknown";
  }
}

__attribute__((noinline)) static void make_date(HttpDate *date, time_t now) {
  char text[HTTP_DATE_LEN + 1];
  http_date_format(now, text);
  snprintf(date->lines, sizeof date->lines, "HTTP/1.1 200 OK\r\nDate: %s\r\n", text);
  date->second = now;
}

/* Room for the status line, the date and the framing headers. */
enum { HEAD_ROOM = 256 };

static inline char *put(char *p, const char *text, size_t n) {
  memcpy(p, text, n);
  return p + n;
}

/* Writes what comes before the framing headers to `p`, which has room for it. Inlined even for
   streamed responses, which are rare, since all others need it. */
__attribute__((always_inline)) static inline char *put_head(char *p, const HttpHead *head,
                                                            int status) {
  HttpDate *date = head->date;
  if (date) {
    time_t now = date->clock->is_virtual ? clock_day_seconds(date->clock) : time(NULL);
    if (now != date->second) make_date(date, now);
  }
  if (date && status == 200) {
    p = put(p, date->lines, HTTP_OK_LINE + HTTP_DATE_LINE);
  } else {
    const char *reason = http_response_reason(status);
    p = put(p, LITERAL("HTTP/1.1 "));
    p += json_number_put_integer(p, status);
    p = put(p, LITERAL(" "));
    p = put(p, reason, strlen(reason));
    p = put(p, LITERAL("\r\n"));
    if (date) p = put(p, date->lines + HTTP_OK_LINE, HTTP_DATE_LINE);
  }
  if (head->lines_len) p = put(p, head->lines, head->lines_len);
  return head->type_len && http_has_body(status) ? put(p, head->type, head->type_len) : p;
}

static inline char *put_connection(char *p, const HttpFraming *framing) {
  if (framing->close) return put(p, LITERAL("Connection: close\r\n"));
  return framing->say_keep_alive ? put(p, LITERAL("Connection: keep-alive\r\n")) : p;
}

static inline char *put_length(char *p, uint64_t length) {
  p = put(p, LITERAL("Content-Length: "));
  p += json_number_put_integer(p, (int64_t)length);
  return put(p, LITERAL("\r\n"));
}

bool http_response_header(Buffer *out, const char *name, size_t name_len, const char *value,
                          size_t value_len) {
  if (!buffer_reserve(out, name_len + value_len + 4)) return false;
  char *p = put(out->data + out->len, name, name_len);
  p = put(p, LITERAL(": "));
  p = put(p, value, value_len);
  p = put(p, LITERAL("\r\n"));
  out->len = (size_t)(p - out->data);
  return true;
}

bool http_response_whole(Buffer *out, const HttpHead *head, HttpFraming *framing, const char *body,
                         size_t n) {
  bool with_body = http_has_body(framing->status);
  if (framing->status == 205) n = 0; /* RFC 9110 section 15.3.6: framed, but empty */
  size_t sent = with_body && !framing->head ? n : 0;
  if (!buffer_reserve(out, HEAD_ROOM + head->lines_len + head->type_len + sent)) return false;
  char *p = put_head(out->data + out->len, head, framing->status);
  p = put_connection(p, framing);
  if (with_body) p = put_length(p, n);
  p = put(p, LITERAL("\r\n"));
  if (sent) p = put(p, body, sent);
  framing->sent = sent;
  out->len = (size_t)(p - out->data);
  return true;
}

bool http_response_streamed(Buffer *out, const HttpHead *head, const HttpFraming *framing,
                            uint64_t length) {
  if (!buffer_reserve(out, HEAD_ROOM + head->lines_len + head->type_len)) return false;
  char *p = put_head(out->data + out->len, head, framing->status);
  p = put_connection(p, framing);
  if (http_has_body(framing->status)) {
    if (length == HTTP_LENGTH_CHUNKED)
      p = put(p, LITERAL("Transfer-Encoding: chunked\r\n"));
    else if (length != HTTP_LENGTH_UNTIL_CLOSE)
      p = put_length(p, length);
  }
  p = put(p, LITERAL("\r\n"));
  out->len = (size_t)(p - out->data);
  return true;
}

bool http_response_detail(Buffer *out, HttpDate *date, HttpFraming *framing, const char *detail,
                          const char *headers) {
  char body[256];
  int n = snprintf(body, sizeof body, "{\"detail\":\"%.200s\"}", detail);
  HttpHead head = {date, headers, strlen(headers), LITERAL("Content-Type: application/json\r\n")};
  return http_response_whole(out, &head, framing, body, (size_t)n);
}
