/* pages.c - pages are held, shared, given back, and never by two at once without saying so. */
#include "infer/pages.h"

#include "unit.h"

#include <stdbool.h>
#include <stdlib.h>

static void test_take_and_drop(void)
{
    enum { N = 4 };
    struct pages p;
    pages_init(&p, N);
    CHECK(pages_available(&p) == N);
    bool seen[N] = {0};
    int32_t page[N];
    for (int i = 0; i < N; i++) {
        page[i] = pages_take(&p);
        CHECK(page[i] >= 0 && page[i] < N && !seen[page[i]]);
        seen[page[i]] = true;
    }
    CHECK(page[0] == 0);
    CHECK(pages_available(&p) == 0);
    pages_share(&p, page[2]);
    pages_drop(&p, page[2]);
    CHECK(pages_available(&p) == 0);
    pages_drop(&p, page[2]);
    CHECK(pages_available(&p) == 1);
    CHECK(pages_take(&p) == page[2]);
    p.promised = 1;
    for (int i = 0; i < N; i++)
        pages_drop(&p, page[i]);
    CHECK(pages_available(&p) == N - 1);
    pages_release(&p);
}

int main(void)
{
    test_take_and_drop();
    return unit_done("pages");
}
