/* moonloop.web.docs.core: the files that are in the binary, for browsers and for new projects. What
   is served where is decided in scripts/moonloop/web/docs.lua. */
#include "bindings/class.h"
#include "bindings/web/open.h"
#include "core/embedded.h"
#include "http/content_coding.h"

#include <lauxlib.h>
#include <string.h>

#define WEB_DECODER "moonloop.web.docs.decoder"

enum { PIECE = 64 * 1024 }; /* decoded in well under a millisecond */

typedef struct DecoderBox {
  ContentCoder *coder; /* NULL: closed */
  const char *rest;    /* of the embedded file */
  size_t size;
  Buffer out;
} DecoderBox;

static const EmbeddedFile *find_in(const EmbeddedFile *file, const char *name) {
  for (; file->name; file++)
    if (strcmp(file->name, name) == 0) return file;
  return NULL;
}

static const EmbeddedFile *find(const char *name) {
  const EmbeddedFile *file = find_in(embedded_files, name);
  return file ? file : find_in(embedded_inspector, name);
}

/* file(name) -> bytes, compressed with brotli; or nil. */
static int l_file(lua_State *L) {
  const EmbeddedFile *file = find(luaL_checkstring(L, 1));
  if (!file) return 0;
  lua_pushlstring(L, (const char *)file->packed, file->packed_size);
  return 1;
}

/* names(prefix) -> the list of the files whose names begin so */
static int l_names(lua_State *L) {
  const char *prefix = luaL_checkstring(L, 1);
  lua_newtable(L);
  for (const EmbeddedFile *file = embedded_files; file->name; file++) {
    if (strncmp(file->name, prefix, strlen(prefix)) != 0) continue;
    lua_pushstring(L, file->name);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  }
  return 1;
}

/* decoder(name) -> decoder | nil */
static int l_decoder(lua_State *L) {
  const EmbeddedFile *file = find(luaL_checkstring(L, 1));
  if (!file) return 0;
  DecoderBox *box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = (DecoderBox){.rest = (const char *)file->packed, .size = file->packed_size};
  luaL_setmetatable(L, WEB_DECODER);
  box->coder = content_coding_decoder_new(CODING_BROTLI);
  if (!box->coder) return luaL_error(L, "not enough memory to decode the file");
  return 1;
}

/* decoder:read() -> the next bytes of the content; nil at its end. */
static int l_read(lua_State *L) {
  DecoderBox *box = luaL_checkudata(L, 1, WEB_DECODER);
  if (!box->coder) return 0;
  box->out.len = 0;
  CodingResult result =
      content_coding_coder_feed(box->coder, &box->rest, &box->size, &box->out, PIECE);
  if (result != CODING_DONE && result != CODING_FULL)
    return luaL_error(L, "the file in the binary cannot be decoded");
  if (box->out.len == 0) return 0;
  lua_pushlstring(L, box->out.data, box->out.len);
  return 1;
}

/* decoder:close(); also __gc and __close. */
static int l_close(lua_State *L) {
  DecoderBox *box = luaL_checkudata(L, 1, WEB_DECODER);
  content_coding_coder_free(box->coder);
  box->coder = NULL;
  buffer_free(&box->out);
  return 0;
}

int luaopen_moonloop_web_docs_core(lua_State *L) {
  static const luaL_Reg methods[] = {{"read", l_read}, {"close", l_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"file", l_file}, {"names", l_names}, {"decoder", l_decoder}, {NULL, NULL}};
  class_make(L, WEB_DECODER, methods, l_close, l_close);
  luaL_newlib(L, functions);
  return 1;
}
