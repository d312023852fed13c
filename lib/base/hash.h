/* hash.h - 64-bit hashes of bytes, for tables and for keys that tell two runs apart. */
#ifndef HASH_H
#define HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_SEED UINT64_C(0xcbf29ce484222325)

/* FNV-1a over the bytes, then mixed (murmur3's finaliser); chain by passing the last result. */
uint64_t hash_bytes(uint64_t seed, const void *p, size_t n);

#endif
