/* Takes URLs apart: what is accepted has parts that can be written into a request as they are. */
#include "http_url.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  HttpUrl url;
  char *text = malloc(size ? size : 1); /* so that ASan sees every read beyond it */
  if (!text) abort();
  memcpy(text, data, size);
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
  free(text);
  return 0;
}
