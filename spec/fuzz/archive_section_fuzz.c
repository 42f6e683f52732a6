/* Looks for the section of an archive in a file, as a program does in its own: what is found lies
   in the file, and what is mapped is what the file has there. */
#include "base/archive.c" // the functions are static
#include "fuzz.h"

enum { LONGEST = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static int fd = -1;
  if (fd < 0) fd = memfd_create("archive_section_fuzz", MFD_CLOEXEC);
  check(fd >= 0);
  if (size > LONGEST) return 0;
  check(!ftruncate(fd, 0) && pwrite(fd, data, size, 0) == (ssize_t)size);
  Elf64_Shdr section;
  if (!find_section(fd, &section) || !map(fd, &section)) return 0;
  check(section.sh_offset <= size && section.sh_size <= size - section.sh_offset);
  check(!section.sh_size || !memcmp(archive, data + section.sh_offset, section.sh_size));
  size_t before = section.sh_offset % (uint64_t)sysconf(_SC_PAGESIZE);
  check(!munmap((char *)(uintptr_t)archive - before, section.sh_size + before));
  archive = NULL;
  return 0;
}
