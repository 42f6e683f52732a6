/* socket_faults: an LD_PRELOAD library that makes calls on internet sockets fail now and then, and
   be short. Test-only, for spec/soak/faults.sh: fiu-run's read and write fail on every descriptor,
   also on those by which libuv wakes its own loop, where a failure can only end in an abort.

   SOCKET_FAULTS names a file; its first two bytes, which may change at any time, are how many of
   256 calls fail, and how many of 256 are short. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static const volatile uint8_t *rates; /* [0] failing, [1] short */
static _Atomic uint64_t state = 88172645463325252u;

__attribute__((constructor)) static void open_rates(void) {
  static const uint8_t none[2];
  const char *path = getenv("SOCKET_FAULTS");
  int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  void *page = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
  rates = page == MAP_FAILED ? none : page;
  if (fd >= 0) close(fd);
}

static uint8_t next_random(void) {
  uint64_t x = atomic_load_explicit(&state, memory_order_relaxed);
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  atomic_store_explicit(&state, x, memory_order_relaxed);
  return (uint8_t)(x >> 24);
}

static bool is_internet(int fd) {
  int domain;
  socklen_t size = sizeof domain;
  int before = errno;
  bool is = !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) &&
            (domain == AF_INET || domain == AF_INET6);
  errno = before;
  return is;
}

/* Is the call on `fd` to fail? Sets errno then. */
static bool fails(int fd, int error) {
  if (!rates[0] || next_random() >= rates[0] || !is_internet(fd)) return false;
  errno = error;
  return true;
}

/* `n` bytes, or fewer. */
static size_t shortened(int fd, size_t n) {
  if (!rates[1] || n < 2 || next_random() >= rates[1] || !is_internet(fd)) return n;
  return 1 + next_random() * (n - 1) / 256;
}

#define REAL(name)                                                                                 \
  static __typeof__(&name) real;                                                                   \
  if (!real) real = (__typeof__(real))dlsym(RTLD_NEXT, #name)

ssize_t read(int fd, void *bytes, size_t n) {
  REAL(read);
  return fails(fd, ECONNRESET) ? -1 : real(fd, bytes, shortened(fd, n));
}

ssize_t write(int fd, const void *bytes, size_t n) {
  REAL(write);
  return fails(fd, EPIPE) ? -1 : real(fd, bytes, shortened(fd, n));
}

ssize_t send(int fd, const void *bytes, size_t n, int flags) {
  REAL(send);
  return fails(fd, EPIPE) ? -1 : real(fd, bytes, shortened(fd, n), flags);
}

ssize_t writev(int fd, const struct iovec *pieces, int count) {
  REAL(writev);
  if (fails(fd, EPIPE)) return -1;
  if (count > 1 && shortened(fd, 2) == 1) count = 1;
  return real(fd, pieces, count);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  REAL(sendmsg);
  return fails(fd, ENOBUFS) ? -1 : real(fd, message, flags);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
  REAL(recvmsg);
  return fails(fd, ECONNRESET) ? -1 : real(fd, message, flags);
}

int accept4(int fd, struct sockaddr *address, socklen_t *size, int flags) {
  REAL(accept4);
  return fails(fd, EMFILE) ? -1 : real(fd, address, size, flags);
}

int connect(int fd, const struct sockaddr *address, socklen_t size) {
  REAL(connect);
  return fails(fd, ENETUNREACH) ? -1 : real(fd, address, size);
}

int getpeername(int fd, struct sockaddr *address, socklen_t *size) {
  REAL(getpeername);
  return fails(fd, ENOTCONN) ? -1 : real(fd, address, size);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t size) {
  REAL(setsockopt);
  return fails(fd, ENOPROTOOPT) ? -1 : real(fd, level, name, value, size);
}

int shutdown(int fd, int how) {
  REAL(shutdown);
  return fails(fd, ENOTCONN) ? -1 : real(fd, how);
}
