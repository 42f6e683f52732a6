/* Takes URLs apart: what is accepted has parts that can be written into a request as they are; and
   what is a plain target is one to its end in a URL, too, and only that. */
#include "fuzz.h"
#include "http/http_url.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static void check_target(const char *target, size_t size) {
  static const char front[] = "http://host/";
  size_t len = sizeof front - 1;
  HttpUrl url;
  char *text = malloc(len + size);
  if (!text) abort();
  memcpy(text, front, len);
  if (size) memcpy(text + len, target, size);
  bool in_url = http_url_parse(text, len + size, &url) && url.target_len == size + 1;
  if (http_url_is_plain_target(target, size) != in_url) abort();
  free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  HttpUrl url;
  char *text = exact_copy(data, size);
  if (http_url_parse(text, size, &url)) {
    const char *end = text + size;
    if (!url.host_len || url.host_len > HTTP_URL_MAX_HOST || !url.port) abort();
    if (url.host < text || url.host + url.host_len > end) abort();
    if (url.target < url.host + url.host_len || url.target + url.target_len > end) abort();
    if (url.target_len && *url.target != '/' && *url.target != '?') abort();
    for (size_t i = 0; i < url.host_len; i++)
      if (!isalnum((unsigned char)url.host[i]) && !strchr("-._:%", url.host[i])) abort();
    for (size_t i = 0; i < url.target_len; i++)
      if (!isgraph((unsigned char)url.target[i]) || url.target[i] == '#') abort();
  }
  check_target(text, size);
  free(text);
  return 0;
}
