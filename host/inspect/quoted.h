/* Texts of users as strings of JSON, for what a page in a browser reads. */
#ifndef ML_QUOTED_H
#define ML_QUOTED_H

#include "base/buffer.h"

/* Appends `,"key":"text"`; nothing if `text` is NULL. What is not UTF-8 is replaced, and what is
   longer than `most` bytes cut off. False when memory is out. */
bool quoted_add_field(Buffer *out, const char *key, const char *text, size_t most);

#endif
