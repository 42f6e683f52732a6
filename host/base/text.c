#include "base/text.h"

Text text_in(char *memory, size_t size) {
  memory[0] = 0;
  return (Text){memory, 0, size};
}

void text_add(Text *text, const char *more) {
  while (*more && text->len + 1 < text->size) text->data[text->len++] = *more++;
  text->data[text->len] = 0;
}

void text_add_number(Text *text, uint64_t number) {
  char digits[24], *at = digits + sizeof digits - 1;
  *at = 0;
  do {
    *--at = (char)('0' + number % 10);
    number /= 10;
  } while (number);
  text_add(text, at);
}

void text_add_duration(Text *text, uint64_t ns) {
  uint64_t ms = ns / 1000000;
  if (ms < 1000) {
    text_add_number(text, ms);
    text_add(text, " ms");
  } else {
    text_add_number(text, ms / 1000);
    text_add(text, ".");
    text_add_number(text, ms / 100 % 10);
    text_add(text, " s");
  }
}
