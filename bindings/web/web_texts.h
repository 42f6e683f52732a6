/* The texts of a request by the fields of a schema. */
#ifndef ML_WEB_TEXTS_H
#define ML_WEB_TEXTS_H

#include "bindings/web/web_request.h"

typedef enum WebTexts {
  WEB_TEXTS_PARAMS,
  WEB_TEXTS_QUERY,
  WEB_TEXTS_HEADERS,
  WEB_TEXTS_COOKIES
} WebTexts;

/* Pushes a table of field -> text, or a list of them, for the request object at index 1. The table
   at `fields` has the field for each of the client's names (those of headers in lower case), and
   the one at `lists` has the fields that are lists as keys. With `others` what has another name is
   there, too. Of a name that repeats and is no list: the last value, of headers all of them joined,
   of cookies the first. */
void web_texts_push(lua_State *L, const WebRequest *req, WebTexts kind, int fields, int lists,
                    bool others);

#endif
