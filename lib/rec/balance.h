/* balance.h - items dealt to shards so that the shards' sizes are nearly equal.
 *
 *     for each item:  balance_add(&b, size);
 *     balance_deal(&b, shards);
 *     balance_shard(&b, i)
 *
 * The largest item that is left goes to the shard that has the least (Graham's rule: never more
 * than 4/3 of the best deal); of equals the first item, and the first shard.  Memory: 8 bytes
 * an item, and while they are sorted up to 8 more.
 */
#ifndef BALANCE_H
#define BALANCE_H

#include "base/error.h"

#include <stdint.h>

struct balance {
    uint64_t *v;
    size_t n, cap;
};

enum { BALANCE_SIZE_BITS = 30, BALANCE_SHARD_BITS = 20 };

void balance_add(struct balance *b, uint64_t size);
void balance_deal(struct balance *b, size_t shards); /* below 2^BALANCE_SHARD_BITS of them */
size_t balance_shard(const struct balance *b, size_t i);
void balance_release(struct balance *b);

#endif
