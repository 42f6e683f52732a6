/* pack OUTPUT TABLE NAME=FILE...: writes a C file with a table of core/embedded.h, in which each
   file is compressed with brotli. Runs while moonloop is built. */
#include <brotli/encode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Bytes {
  uint8_t *data;
  size_t size;
} Bytes;

static void fail(const char *what, const char *name) {
  fprintf(stderr, "pack: %s: %s\n", what, name);
  exit(1);
}

static Bytes read_file(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file || fseek(file, 0, SEEK_END) != 0) fail("cannot read", path);
  long size = ftell(file);
  rewind(file);
  Bytes content = {malloc(size > 0 ? (size_t)size : 1), (size_t)size};
  if (!content.data || fread(content.data, 1, content.size, file) != content.size)
    fail("cannot read", path);
  fclose(file);
  return content;
}

static Bytes compress(Bytes content, const char *path) {
  Bytes packed = {NULL, BrotliEncoderMaxCompressedSize(content.size)};
  packed.data = malloc(packed.size);
  if (!packed.data ||
      !BrotliEncoderCompress(BROTLI_MAX_QUALITY, BROTLI_MAX_WINDOW_BITS, BROTLI_MODE_TEXT,
                             content.size, content.data, &packed.size, packed.data))
    fail("cannot compress", path);
  return packed;
}

int main(int argc, char **argv) {
  FILE *out = argc > 1 ? fopen(argv[1], "w") : NULL;
  if (!out) fail("cannot write", argc > 1 ? argv[1] : "the output");
  if (argc < 3) fail("TABLE is missing", argv[1]);
  size_t *sizes = calloc((size_t)argc + 1, sizeof *sizes);
  if (!sizes) fail("not enough memory", argv[1]);
  fprintf(out, "#include \"core/embedded.h\"\n");
  for (int i = 3; i < argc; i++) {
    char *path = strchr(argv[i], '=');
    if (!path) fail("NAME=FILE expected, not", argv[i]);
    *path++ = 0;
    Bytes content = read_file(path), packed = compress(content, path);
    sizes[i] = packed.size;
    fprintf(out, "static const unsigned char file%d[] = {", i);
    for (size_t at = 0; at < packed.size; at++) fprintf(out, "%d,", packed.data[at]);
    fprintf(out, "0};\n");
    free(content.data);
    free(packed.data);
  }
  fprintf(out, "const EmbeddedFile %s[] = {\n", argv[2]);
  for (int i = 3; i < argc; i++) fprintf(out, "  {\"%s\", file%d, %zu},\n", argv[i], i, sizes[i]);
  fprintf(out, "  {0, 0, 0}};\n");
  free(sizes);
  return fclose(out) == 0 ? 0 : 1;
}
