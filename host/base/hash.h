/* Hashes of 64 bits. Those of bytes are FNV-1a: not for keys that a client can choose in bulk. */
#ifndef ML_HASH_H
#define ML_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_START 14695981039346656037u

/* The hash of what `hash` is of, followed by one more byte; by `n` bytes. */
static inline uint64_t hash_byte(uint64_t hash, unsigned char c) {
  return (hash ^ c) * 1099511628211u;
}
static inline uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t n) {
  const unsigned char *p = bytes;
  for (size_t i = 0; i < n; i++) hash = hash_byte(hash, p[i]);
  return hash;
}

/* A bijection, the end of splitmix64: a counter becomes what looks random. */
static inline uint64_t hash_mix(uint64_t x) {
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
  x = (x ^ x >> 27) * 0x94D049BB133111EBu;
  return x ^ x >> 31;
}

#endif
