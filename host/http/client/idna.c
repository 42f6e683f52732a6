#include "http/client/idna.h"

#include "base/url.h"
#include <ctype.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* The three functions of libidn2 that are called, and their flags, as in idn2.h of version 2: the
   header is not needed to build, and the library only for such a host. */
typedef struct Idn2 {
  int (*lookup_u8)(const uint8_t *src, uint8_t **lookupname, int flags);
  const char *(*strerror)(int rc);
  void (*free)(void *ptr);
} Idn2;
enum { IDN2_NFC_INPUT = 1, IDN2_NONTRANSITIONAL = 8 };

enum { MOST = 255 }; /* bytes of a host */

static Idn2 library;
static char failure[160];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void) {
  void *handle = dlopen("libidn2.so.0", RTLD_NOW | RTLD_LOCAL);
  if (handle) {
    *(void **)&library.lookup_u8 = dlsym(handle, "idn2_lookup_u8");
    *(void **)&library.strerror = dlsym(handle, "idn2_strerror");
    *(void **)&library.free = dlsym(handle, "idn2_free");
  }
  if (!handle || !library.lookup_u8 || !library.strerror || !library.free)
    snprintf(failure, sizeof failure, "its host is not ASCII, which needs libidn2: %s", dlerror());
}

/* Finds the host in `url[0..*len)`; sets `len` to its length. NULL if there is none, or it is an
   address in brackets. */
static const char *find_host(const char *url, size_t *len) {
  const char *end = url + *len, *p = memmem(url, *len, "://", 3);
  if (!p) return NULL;
  const char *host = p + 3;
  for (p = host; p < end && *p != '/' && *p != '?' && *p != '#'; p++)
    if (*p == '@') host = p + 1;
  end = p;
  while (p > host && p[-1] >= '0' && p[-1] <= '9') p--;
  if (p > host && p[-1] == ':') end = p - 1;
  *len = (size_t)(end - host);
  return host < end && *host != '[' ? host : NULL;
}

static bool is_ascii(const char *text, size_t n) {
  for (size_t i = 0; i < n; i++)
    if ((unsigned char)text[i] >= 0x80) return false;
  return true;
}

/* libidn2 lets '/' and the like pass, at which the host would end. Longer ones it has refused. */
static bool is_name(const char *text) {
  size_t n = 0;
  for (; text[n]; n++)
    if (!isalnum((unsigned char)text[n]) && !strchr("-._", text[n])) return false;
  return n <= MOST;
}

/* The host in ASCII, freed with library.free; or NULL and `wrong`. */
static uint8_t *convert(const char *host, char *wrong, size_t size) {
  uint8_t *ascii = NULL;
  pthread_once(&once, load);
  if (failure[0]) {
    snprintf(wrong, size, "%s", failure);
    return NULL;
  }
  int rc = library.lookup_u8((const uint8_t *)host, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  if (!rc && is_name((const char *)ascii)) return ascii;
  snprintf(wrong, size, "malformed URL: its host is not a domain name: %s",
           rc ? library.strerror(rc) : "it has a character that belongs in no name");
  if (!rc) library.free(ascii);
  return NULL;
}

/* Writes `url` with the `n` bytes at `host` replaced by `ascii`. */
static void replace(const char *url, size_t len, const char *host, size_t n, const char *ascii,
                    char *out) {
  size_t front = (size_t)(host - url), middle = strlen(ascii), back = len - front - n;
  memcpy(out, url, front);
  memcpy(out + front, ascii, middle);
  memcpy(out + front + middle, host + n, back);
  out[front + middle + back] = 0;
}

bool idna_url(const char *url, size_t len, char *out, char *wrong, size_t size) {
  size_t n = len;
  const char *host = find_host(url, &n);
  *wrong = 0;
  if (!host || (is_ascii(host, n) && !memchr(host, '%', n)) || memchr(url, 0, len)) return false;
  /* A redirect may have it percent-encoded. There is room for it, until the URL is written. */
  long decoded_len = url_decode(out, host, n, false);
  if (decoded_len <= 0 || is_ascii(out, (size_t)decoded_len) || memchr(out, 0, (size_t)decoded_len))
    return false;
  out[decoded_len] = 0;
  uint8_t *ascii = convert(out, wrong, size);
  if (!ascii) return false;
  replace(url, len, host, n, (const char *)ascii, out);
  library.free(ascii);
  return true;
}
