/* Writes entries of the log with any bytes in message and fields: an entry of JSON is one line that
   decodes, and one of text cannot look like two: it has no control characters, and only its first
   line begins at the left. The first byte chooses level, source and kind of the field; the lines
   are the message, a field's name and its value. */
#include "fuzz.h"
#include "log/log_format.h"
#include "json/json.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

static void check_json(lua_State *L, const LogEntry *entry) {
  Buffer out = {0};
  JsonError error;
  LogProcess process = {.worker = 1, .pid = 2};
  check(log_format_json(&out, entry, &process));
  check(out.len && memchr(out.data, '\n', out.len) == out.data + out.len - 1);
  check(out.len <= LOG_LINE_MAX + 1024);
  check(json_decode(L, out.data, out.len - 1, &error) && lua_istable(L, -1));
  lua_settop(L, 0);
  buffer_free(&out);
}

static void check_text(const LogEntry *entry) {
  Buffer out = {0};
  LogStyle style = {.stamped = true};
  check(log_format_text(&out, entry, &style));
  check(out.len && out.data[out.len - 1] == '\n');
  for (size_t i = 0; i + 1 < out.len; i++) {
    unsigned char c = (unsigned char)out.data[i];
    check(c >= ' ' || c == '\n' || c == '\t');
    check(c != 0x7f);
    if (c == '\n')
      check(out.data[i + 1] == ' ' || out.data[i + 1] == '\t' || out.data[i + 1] == '\n');
  }
  buffer_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static lua_State *L;
  if (!L) L = luaL_newstate();
  if (size < 1) return 0;
  uint8_t flags = *data++;
  char *text = malloc(size);
  check(text);
  memcpy(text, data, --size);
  char *name = size ? memchr(text, '\n', size) : NULL;
  name = name ? name + 1 : text + size;
  char *value = name < text + size ? memchr(name, '\n', (size_t)(text + size - name)) : NULL;
  value = value ? value + 1 : text + size;
  LogFieldKind kinds[] = {LOG_FIELD_TEXT, LOG_FIELD_BELOW, LOG_FIELD_QUIET, LOG_FIELD_CONTEXT};
  LogField field = {.name = name,
                    .name_len = (size_t)(value - name),
                    .value = value,
                    .value_len = (size_t)(text + size - value),
                    .kind = kinds[flags >> 4 & 3]};
  LogEntry entry = {.level = (LogLevel)(flags & 3),
                    .source = (LogSource)((flags >> 2 & 3) % 3),
                    .message = text,
                    .message_len = flags & 64 ? size : (size_t)(name - text),
                    .fields = &field,
                    .n_fields = flags >> 7};
  check_json(L, &entry);
  check_text(&entry);
  free(text);
  return 0;
}
