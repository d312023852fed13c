/* dropout.h - which elements are dropped, for backends that live in host memory. */
#ifndef DROPOUT_H
#define DROPOUT_H

#include <stdint.h>

/* A row's own key, from its record's and a salt: the finaliser of SplitMix64. */
static inline uint64_t dropout_row(uint64_t key, uint64_t salt)
{
    uint64_t z = key + salt * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* 32 random bits for a column of the row; two rounds of lowbias32 (Wellons), which vectorise.
 */
static inline uint32_t dropout_bits(uint64_t row, uint32_t col)
{
    uint32_t h = (uint32_t)row + col * UINT32_C(0x9e3779b9);
    h = (h ^ h >> 16) * UINT32_C(0x7feb352d);
    h = (h ^ h >> 15) * UINT32_C(0x846ca68b);
    h ^= h >> 16 ^ (uint32_t)(row >> 32);
    h = (h ^ h >> 16) * UINT32_C(0x7feb352d);
    h = (h ^ h >> 15) * UINT32_C(0x846ca68b);
    return h ^ h >> 16;
}

/* Elements whose bits are below it are dropped. */
static inline uint32_t dropout_below(float p)
{
    return (uint32_t)((double)p * 0x1p32);
}

#endif
