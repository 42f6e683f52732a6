/* embed_parts OUTPUT ROOT PART...: writes a C file with the table `embedded_parts` of
   core/embedded.h. ROOT/moonloop/web/init.lua becomes the module "moonloop.web". Comments,
   indentation and other blanks that mean nothing are left out, which is a third of the text; lines
   keep their numbers. Runs while
   moonloop is built. */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(const char *what, const char *name) {
  fprintf(stderr, "embed_parts: %s: %s\n", what, name);
  exit(1);
}

/* The text of a file, which ends with a zero byte. */
static char *read_file(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file || fseek(file, 0, SEEK_END) != 0) fail("cannot read", path);
  long size = ftell(file);
  rewind(file);
  char *text = malloc((size_t)size + 1);
  if (!text || fread(text, 1, (size_t)size, file) != (size_t)size) fail("cannot read", path);
  text[size] = 0;
  fclose(file);
  return text;
}

/* The end of a long bracket, "[[...]]" or "[=[...]=]", that begins at `s`; NULL if none does. */
static const char *long_bracket_end(const char *s, const char *path) {
  size_t level = strspn(s + 1, "=");
  if (s[0] != '[' || s[level + 1] != '[') return NULL;
  for (const char *at = strchr(s, ']'); at; at = strchr(at + 1, ']'))
    if (strspn(at + 1, "=") == level && at[level + 1] == ']') return at + level + 2;
  fail("a long bracket has no end", path);
  return NULL;
}

static const char *short_string_end(const char *s, const char *path) {
  char quote = *s++;
  for (; *s && *s != quote; s++)
    if (*s == '\\' && s[1]) s++;
  if (!*s) fail("a string has no end", path);
  return s + 1;
}

/* Are blanks between these two characters needed? They are where names, numbers or symbols would
   become one: "a b", "- -1", "1 .. x", "[ [", "<const> =". */
static bool separates(char before, char after) {
  const char *alone = "(){},;=+*/%^#&|<>~]\"'\n";
  if (before == '>' && after == '=') return true;
  if (!after || strchr(alone, before) || strchr(alone, after)) return false;
  if (before == '-' || after == '-') return before == after;
  if (before == '.' || after == '.') return before == after || isdigit(before) || isdigit(after);
  return true;
}

/* Writes the text without its comments, indentation, and blanks that separate nothing. Returns the
   number of bytes. */
static size_t write_source(FILE *out, const char *s, const char *path) {
  size_t n = 0;
  char last = '\n'; /* what was written last */
  while (*s) {
    const char *end = NULL;
    if (s[0] == '-' && s[1] == '-') {
      end = long_bracket_end(s + 2, path);
      for (const char *at = s; end && at < end; at++)
        if (*at == '\n') n += (size_t)(fprintf(out, "10,") > 0);
      s = end ? end : s + strcspn(s, "\n");
      continue;
    }
    if (*s == '"' || *s == '\'') end = short_string_end(s, path);
    if (*s == '[') end = long_bracket_end(s, path);
    if (!end) end = s + 1;
    if (*s == ' ' || *s == '\t') {
      end = s + strspn(s, " \t");
      bool is_before_comment = strncmp(end, "--", 2) == 0 && end[2] != '[';
      bool is_needed = separates(last, *end) && !is_before_comment;
      if (is_needed) n += (size_t)(fprintf(out, "32,") > 0);
      last = is_needed ? ' ' : last;
      s = end;
      continue;
    }
    for (; s < end; s++, n++) fprintf(out, "%d,", (unsigned char)*s);
    last = s[-1];
  }
  return n;
}

/* The module's name of a part: "moonloop/web/init.lua" is "moonloop.web". Changes `part`. */
static void make_module_name(char *part) {
  char *end = part + strlen(part);
  if (end - part > 4 && strcmp(end - 4, ".lua") == 0) *(end -= 4) = 0;
  if (end - part > 5 && strcmp(end - 5, "/init") == 0) end[-5] = 0;
  for (char *c = part; (c = strchr(c, '/'));) *c = '.';
}

/* A part, and its module's name, by which the table is sorted. */
typedef struct Part {
  const char *path;
  char *module;
  size_t size;
} Part;

static int compare_modules(const void *a, const void *b) {
  return strcmp(((const Part *)a)->module, ((const Part *)b)->module);
}

int main(int argc, char **argv) {
  if (argc < 3) fail("usage", "embed_parts OUTPUT ROOT PART...");
  FILE *out = fopen(argv[1], "w");
  size_t count = (size_t)argc - 3;
  Part *parts = calloc(count + 1, sizeof *parts);
  if (!out || !parts) fail("cannot write", argv[1]);
  for (size_t i = 0; i < count; i++) {
    parts[i] = (Part){.path = argv[i + 3], .module = strdup(argv[i + 3])};
    if (!parts[i].module) fail("not enough memory", argv[1]);
    make_module_name(parts[i].module);
  }
  qsort(parts, count, sizeof *parts, compare_modules);
  fprintf(out, "#include \"core/embedded.h\"\n");
  fprintf(out, "static const unsigned char sources[] = {\n");
  for (size_t i = 0; i < count; i++) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", argv[2], parts[i].path);
    char *text = read_file(path);
    parts[i].size = write_source(out, text, path);
    fprintf(out, "\n");
    free(text);
  }
  fprintf(out, "};\nconst EmbeddedPart embedded_parts[] = {\n");
  for (size_t i = 0, start = 0; i < count; start += parts[i++].size) {
    const char *path = parts[i].path;
    const char *shown = strncmp(path, "moonloop/", 9) == 0 ? path + 9 : path;
    fprintf(out, "  {.module = \"%s\", .chunk_name = \"=[moonloop]/%s\", ", parts[i].module, shown);
    fprintf(out, ".source = sources + %zu, .size = %zu},\n", start, parts[i].size);
    free(parts[i].module);
  }
  fprintf(out, "};\nconst size_t embedded_part_count = %zu;\n", count);
  free(parts);
  return fclose(out) == 0 ? 0 : 1;
}
