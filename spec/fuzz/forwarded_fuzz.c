/* Feeds bytes to the readers of Forwarded and X-Forwarded-For: what comes out lies inside of what
   went in, without quotes around it, and reads the same when it is written again. */
#include "base/buffer.h"
#include "fuzz.h"
#include "http/forwarded.h"

#include <stdint.h>
#include <stdlib.h>

static void check_inside(ForwardedText text, const char *from, const char *end) {
  if (text.len) check(text.text >= from && text.text + text.len <= end);
}

static void check_node(ForwardedText text, bool bare) {
  ForwardedNode node;
  if (!forwarded_node(text, bare, &node)) return;
  const char *from = text.text, *end = from + text.len;
  check(!node.address.len != !node.name.len);
  check_inside(node.address, from, end);
  check_inside(node.name, from, end);
}

static void write_pair(Buffer *out, const char *name, ForwardedText value) {
  if (!value.len) return;
  bool ok = buffer_printf(out, "%s=\"", name) && buffer_add(out, value.text, value.len) &&
            buffer_add(out, "\";", 2);
  check(ok && !memchr(value.text, '"', value.len) && !memchr(value.text, '\\', value.len));
}

/* Writes what is understood of the value. False: it is malformed. */
static bool rewrite(const char *text, size_t n, Buffer *out) {
  if (!n) text = ""; /* an empty buffer has no bytes to point to */
  const char *at = text, *end = text + n;
  for (;;) {
    ForwardedElement element;
    const char *from = at;
    ForwardedResult result = forwarded_next(&at, end, &element);
    check(at >= from && at <= end);
    if (result == FORWARDED_BAD) return false;
    if (result == FORWARDED_END) {
      check(at == end);
      return true;
    }
    check(at > from);
    const ForwardedText *parts[] = {&element.node, &element.proto, &element.host};
    for (int i = 0; i < 3; i++) check_inside(*parts[i], from, at);
    check_node(element.node, false);
    write_pair(out, "for", element.node);
    write_pair(out, "proto", element.proto);
    write_pair(out, "host", element.host);
    check(buffer_add(out, ";,", 2));
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Buffer once = {0}, twice = {0};
  char *text = exact_copy(data, size);
  if (rewrite(text, size, &once)) {
    check(rewrite(once.data, once.len, &twice));
    check(once.len == twice.len && (!once.len || !memcmp(once.data, twice.data, once.len)));
  }
  const char *at = text, *end = text + size;
  for (ForwardedText item; forwarded_item(&at, end, &item);) {
    check_inside(item, text, at);
    check(!memchr(item.text, ',', item.len));
    check_node(item, true);
  }
  free(text);
  buffer_free(&once);
  buffer_free(&twice);
  return 0;
}
