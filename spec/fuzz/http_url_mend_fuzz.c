/* Mends any bytes as a URL: what comes out is in normal form and stays as it is when it is mended
   again, has no user, and leads to the same host as its reading; credentials have no control
   characters. */
#include "http/http_url.h"
#include "http/http_url_mend.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const HttpUrlMend *mend) {
  HttpUrl url;
  if (!http_url_parse(mend->text, mend->text_len, &url)) abort();
  const char *before = mend->text + (url.is_https ? 8 : 7) + url.is_ipv6;
  if (url.host != before) abort();
  for (size_t i = 0; i < mend->text_len; i++)
    if (!isgraph((unsigned char)mend->text[i]) || mend->text[i] == '\\') abort();
  for (size_t i = 0; i < mend->credentials_len; i++)
    if (iscntrl((unsigned char)mend->credentials[i])) abort();
  if (mend->credentials_len && !memchr(mend->credentials, ':', mend->credentials_len)) abort();
  char *memory = malloc(HTTP_URL_MEND_SIZE(mend->text_len));
  HttpUrlMend again;
  if (!memory || http_url_mend(mend->text, mend->text_len, memory, &again)) abort();
  if (again.text_len != mend->text_len || memcmp(again.text, mend->text, again.text_len) != 0)
    abort();
  if (again.credentials_len) abort();
  free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *url = malloc(size ? size : 1), *memory = malloc(HTTP_URL_MEND_SIZE(size));
  if (!url || !memory) abort(); /* copied, so that ASan sees every read beyond it */
  memcpy(url, data, size);
  HttpUrlMend mend;
  if (!http_url_mend(url, size, memory, &mend)) check(&mend);
  free(url);
  free(memory);
  return 0;
}
