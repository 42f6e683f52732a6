/* Converts hosts of URLs that are not ASCII to their DNS form: "bücher.example" is
   "xn--bcher-kva.example" (IDNA 2008 with the mapping of UTS 46, as in browsers), using libidn2.
   It is on most systems, as other programs need it. */
#ifndef ML_IDNA_H
#define ML_IDNA_H

#include <stdbool.h>
#include <stddef.h>

/* The memory that idna_url needs for a URL of `len` bytes: a host has at most 255. */
#define IDNA_URL_SIZE(len) ((len) + 256)

/* Writes the URL `url[0..len)`, which may be any text, with its host in ASCII and a zero byte to
   `out`. False if there is nothing to do, or if it fails: then `wrong` of `size` bytes says why;
   otherwise it is "". What `out` has is worth nothing then. From any thread. */
bool idna_url(const char *url, size_t len, char *out, char *wrong, size_t size);

#endif
