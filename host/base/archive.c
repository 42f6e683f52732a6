#include "base/archive.h"

#include <elf.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTION ".moonloop"

/* What the program knows of its archive when that is lost: filled in by the build, in a section of
   its own, so that it is found there. All zero: there has never been one. */
typedef struct Mark {
  char magic[16];
  uint64_t size; /* of the archive */
  uint8_t hash[ARCHIVE_HASH];
} Mark;

__attribute__((section(".moonloop.mark"), used)) static const volatile Mark mark = {
    "moonloop archive", 0, {0}};

/* At the start of the archive. Numbers are little-endian, as the machines are that we run on. */
typedef struct Head {
  uint32_t count;      /* of the entries, which follow; then the names; then the data */
  uint32_t index_size; /* of all but the data */
  int64_t time;
  uint32_t main; /* the place of the name of the app's file */
  uint32_t unused;
} Head;

/* Sorted by name. The places are counted from the archive's start. */
typedef struct Entry {
  uint32_t name, source;
  uint64_t data, size;
  uint8_t hash[ARCHIVE_HASH];
} Entry;

enum { PATH_MOST = 4096 };

static const char *archive; /* NULL: there is none */
static const Head *head;
static const Entry *entries;
static atomic_bool *checked; /* for each entry: its bytes are what they were */

/* --- opening --- */

static int open_program(void) {
  int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  if (fd >= 0) return fd; /* else there is no /proc, as in a bare root */
  const char *path = (const char *)getauxval(AT_EXECFN);
  return path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
}

static bool read_at(int fd, void *to, size_t n, uint64_t at) {
  return pread(fd, to, n, (off_t)at) == (ssize_t)n;
}

/* Finds the section among those that the program's file has. */
static bool find_section(int fd, Elf64_Shdr *found) {
  Elf64_Ehdr elf;
  Elf64_Shdr names;
  char name[sizeof SECTION];
  if (!read_at(fd, &elf, sizeof elf, 0) || elf.e_shentsize != sizeof names) return false;
  if (!read_at(fd, &names, sizeof names, elf.e_shoff + elf.e_shstrndx * sizeof names)) return false;
  for (uint64_t i = elf.e_shnum; i-- > 1;) { /* it is the last one, or near it */
    if (!read_at(fd, found, sizeof *found, elf.e_shoff + i * sizeof *found)) return false;
    if (read_at(fd, name, sizeof name, names.sh_offset + found->sh_name) &&
        memcmp(name, SECTION, sizeof name) == 0)
      return true;
  }
  return false;
}

static bool has_hash(const void *data, size_t n, const uint8_t *hash) {
  unsigned char found[crypto_hash_sha256_BYTES];
  crypto_hash_sha256(found, data, n);
  return memcmp(found, hash, ARCHIVE_HASH) == 0;
}

/* Maps the section; it stays. */
static bool map(int fd, const Elf64_Shdr *section) {
  uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), before = section->sh_offset % page;
  struct stat about;
  if (fstat(fd, &about) || section->sh_offset > (uint64_t)about.st_size ||
      section->sh_size > (uint64_t)about.st_size - section->sh_offset)
    return false;
  char *all = mmap(NULL, section->sh_size + before, PROT_READ, MAP_PRIVATE, fd,
                   (off_t)(section->sh_offset - before));
  if (all == MAP_FAILED) return false;
  archive = all + before;
  return true;
}

/* The index has its hash: what is in it is what the build wrote, and is within the archive. */
static bool read_index(uint64_t size) {
  head = (const Head *)archive;
  entries = (const Entry *)(head + 1);
  uint8_t hash[ARCHIVE_HASH];
  for (int i = 0; i < ARCHIVE_HASH; i++) hash[i] = mark.hash[i];
  if (size < sizeof *head || head->index_size > size) return false;
  if (!has_hash(archive, head->index_size, hash)) return false;
  checked = calloc(head->count + 1, sizeof *checked);
  return checked != NULL;
}

const char *archive_open(void) {
  uint64_t size = mark.size;
  if (!size) return NULL;
  int fd = open_program();
  if (fd < 0) return "the app inside cannot be read: the program's own file cannot be opened";
  Elf64_Shdr section;
  const char *wrong = NULL;
  if (!find_section(fd, &section))
    wrong = "the app inside is lost: something has taken the section " SECTION
            " out of the program; build it again";
  else if (section.sh_size != size || !map(fd, &section) || !read_index(size))
    wrong = "the app inside is damaged: copy or build the program again";
  close(fd);
  if (wrong) archive = NULL;
  return wrong;
}

const char *archive_main(void) { return archive ? archive + head->main : NULL; }

int64_t archive_time(void) { return archive ? head->time : 0; }

/* --- finding --- */

/* The place of the first entry whose name is not before `name`, by bytes. */
static uint32_t find_place(const char *name) {
  uint32_t from = 0, to = head->count;
  while (from < to) {
    uint32_t middle = from + (to - from) / 2;
    if (strcmp(archive + entries[middle].name, name) < 0)
      from = middle + 1;
    else
      to = middle;
  }
  return from;
}

static bool take(const char *name, ArchiveFile *file) {
  uint32_t i = find_place(name);
  if (i == head->count || strcmp(archive + entries[i].name, name) != 0) return false;
  const Entry *e = &entries[i];
  *file = (ArchiveFile){.name = archive + e->name,
                        .source = archive + e->source,
                        .data = archive + e->data,
                        .size = e->size,
                        .hash = e->hash};
  if (atomic_load_explicit(&checked[i], memory_order_relaxed)) return true;
  if (has_hash(file->data, file->size, file->hash))
    atomic_store_explicit(&checked[i], true, memory_order_relaxed);
  else
    file->data = NULL;
  return true;
}

/* Appends the path to the name of `n` bytes in `to`, without "." and empty segments; ".." takes one
   away. False: it leads outside, or is too long. */
static bool add_path(char to[PATH_MOST], size_t *n, const char *path) {
  for (size_t length; *path; path += length) {
    length = strcspn(path, "/");
    if (length == 0) {
      length = 1;
    } else if (length == 2 && path[0] == '.' && path[1] == '.') {
      if (*n == 0) return false;
      while (*n && to[*n - 1] != '/') --*n;
      if (*n) --*n;
    } else if (length != 1 || path[0] != '.') {
      if (*n + length + 2 > PATH_MOST) return false;
      if (*n) to[(*n)++] = '/';
      memcpy(to + *n, path, length);
      *n += length;
    }
  }
  to[*n] = 0;
  return true;
}

/* The name of what is at the path. False: it cannot be inside. */
static bool name_of(const char *path, char name[PATH_MOST]) {
  size_t n = 0;
  name[0] = 0;
  return archive && *path && *path != '/' && add_path(name, &n, path);
}

bool archive_find(const char *path, ArchiveFile *file) {
  char name[PATH_MOST];
  return name_of(path, name) && *name != '?' && take(name, file);
}

bool archive_find_below(const char *folder, const char *path, ArchiveFile *file) {
  char name[PATH_MOST];
  if (!name_of(folder, name)) return false;
  size_t n = strlen(name);
  return add_path(name, &n, path) && *name != '?' && take(name, file);
}

bool archive_find_module(const char *module, ArchiveFile *file) {
  char name[PATH_MOST];
  size_t n = strlen(module);
  if (!archive || n + 2 > sizeof name) return false;
  name[0] = '?';
  memcpy(name + 1, module, n + 1);
  return take(name, file);
}

/* --- folders --- */

/* The place of the first file in the folder, whose name gets a slash at its end. */
static bool find_folder(const char *path, char name[PATH_MOST], uint32_t *at) {
  if (!name_of(path, name)) return false;
  size_t n = strlen(name);
  if (n + 2 > PATH_MOST) return false;
  if (!n) return false;
  memcpy(name + n, "/", 2);
  *at = find_place(name);
  return *at < head->count && strncmp(archive + entries[*at].name, name, n + 1) == 0;
}

bool archive_has_folder(const char *path) {
  char name[PATH_MOST];
  uint32_t at;
  return find_folder(path, name, &at);
}

bool archive_list(const char *path, bool (*f)(void *data, const char *name, bool is_folder),
                  void *data) {
  char folder[PATH_MOST], entry[PATH_MOST], last[PATH_MOST] = "";
  uint32_t at;
  if (!find_folder(path, folder, &at)) return true;
  size_t n = strlen(folder);
  for (; at < head->count && strncmp(archive + entries[at].name, folder, n) == 0; at++) {
    const char *name = archive + entries[at].name + n;
    size_t length = strcspn(name, "/");
    if (length >= PATH_MOST) continue;
    memcpy(entry, name, length);
    entry[length] = 0;
    if (strcmp(entry, last) == 0) continue; /* another file of the same folder */
    memcpy(last, entry, length + 1);
    if (!f(data, entry, name[length] == '/')) return false;
  }
  return true;
}
