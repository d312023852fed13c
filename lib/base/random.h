/* random.h - random numbers that are the same on every machine and in every version.
 *
 * SplitMix64 (Steele, Lea and Flood 2014; Vigna's constants): the state goes up by a constant,
 * the number is a mix of it.  A seed gives the same draw for ever, so nothing here may change.
 */
#ifndef RANDOM_H
#define RANDOM_H

#include <stdint.h>

static inline uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* 0 to n - 1, each equally likely; n > 0.  Numbers from the incomplete last multiple of n are
 * thrown away. */
static inline uint64_t random_below(uint64_t *state, uint64_t n)
{
    uint64_t x, incomplete = (UINT64_MAX % n + 1) % n;
    do
        x = random_next(state);
    while (x > UINT64_MAX - incomplete);
    return x % n;
}

#endif
