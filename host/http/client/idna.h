/* Converts hosts of URLs that are not ASCII to their DNS form: "bücher.example" is
   "xn--bcher-kva.example" (IDNA 2008 with the mapping of UTS 46, as in browsers), using libidn2.
   It is on most systems, as other programs need it. */
#ifndef ML_IDNA_H
#define ML_IDNA_H

#include <stddef.h>

/* The URL `url[0..len)`, which may be any text, with its host in ASCII, for the caller to free.
   NULL if there is nothing to do, or if it fails: then `wrong` of `size` bytes says why; otherwise
   it is "". From any thread. */
char *idna_url(const char *url, size_t len, char *wrong, size_t size);

#endif
