/* Looks for files in an archive of an app by the paths that clients name: what is found below a
   folder is in it, and the parts of the archive that are no files are never found. The first byte
   chooses the folder. The archive is one of a few files, which is not read from a program. */
#include "base/archive.c" // the archive is static
#include "fuzz.h"

static const char *const names[] = {"?shop.cart", "app.lua", "public/a.css", "public/js/b.js",
                                    "secret.txt"};
enum { FILES = sizeof names / sizeof *names, PLACE = 64 };

typedef struct Sample {
  Head head;
  Entry entries[FILES];
  char names[FILES][PLACE];
  char empty[PLACE];
} Sample;

static void open_sample(void) {
  static Sample sample;
  sample.head = (Head){.count = FILES, .index_size = sizeof sample};
  for (uint32_t i = 0; i < FILES; i++) {
    Entry *e = &sample.entries[i];
    strcpy(sample.names[i], names[i]);
    e->name = (uint32_t)offsetof(Sample, names) + i * PLACE;
    e->source = (uint32_t)offsetof(Sample, empty);
    e->data = e->name; /* each file holds its name */
    e->size = strlen(names[i]);
    unsigned char hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(hash, (const unsigned char *)names[i], e->size);
    memcpy(e->hash, hash, ARCHIVE_HASH);
  }
  archive = (const char *)&sample;
  head = &sample.head;
  entries = sample.entries;
  checked = calloc(FILES + 1, sizeof *checked);
  check(checked);
}

static bool count(void *user, const char *name, bool is_folder) {
  (void)is_folder;
  check(*name && *name != '?' && !strchr(name, '/'));
  return --*(unsigned *)user > 0;
}

/* Has the path a segment ".."? Who looks below a folder has taken those out. */
static bool leads_up(const char *path) {
  for (const char *p = path; (p = strstr(p, "..")); p += 2)
    if ((p == path || p[-1] == '/') && (!p[2] || p[2] == '/')) return true;
  return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *const folders[] = {"public", "public/js", "./public/", "public/js/.."};
  if (!archive) open_sample();
  if (!size) return 0;
  char *path = malloc(size);
  check(path);
  memcpy(path, data + 1, size - 1);
  path[size - 1] = 0;
  ArchiveFile file;
  if (archive_find(path, &file)) {
    check(file.name[0] != '?' && file.data && file.size == strlen(file.name));
    check(!memcmp(file.data, file.name, file.size));
  }
  if (!leads_up(path) && archive_find_below(folders[data[0] % 4], path, &file))
    check(!strncmp(file.name, "public/", 7));
  if (archive_find_module(path, &file)) check(file.name[0] == '?' && !strcmp(file.name + 1, path));
  unsigned left = FILES;
  archive_has_folder(path);
  archive_list(path, count, &left);
  free(path);
  return 0;
}
