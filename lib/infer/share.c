/* share.c - the pages that a prompt takes over from others, and those that it leaves to them.
 *
 * A request that starts names the full pages of its prompt in the tree before it computes them.
 * Whoever comes behind it with the same tokens holds them from then on, and waits until they
 * are filled: nothing is computed twice, and nobody waits for one that came later.
 */
#include "infer/prefix.h"
#include "infer/sched.h"

static int32_t parent_of(const struct job *j, int32_t i)
{
    return i ? j->seq.pages[i - 1] : prefix_root(2 * j->r.adapter + j->seq.far);
}

static const int32_t *ids_of(const struct job *j, int32_t i)
{
    return j->r.prompt + (ptrdiff_t)i * KV_PAGE;
}

/* The last token is computed, for its row; where every token's row is wanted, all are. */
int32_t share_find(const struct infer *f, struct job *j)
{
    if (!f->config.prefix_cache || j->r.prompt_logprobs || j->turns)
        return 0;
    int32_t n = 0, most = (j->r.n_prompt - 1) / KV_PAGE;
    for (; n < most; n++) {
        int32_t page = prefix_find(&f->pages, parent_of(j, n), ids_of(j, n));
        if (page < 0)
            break;
        j->seq.pages[n] = page;
    }
    return n;
}

int32_t share_find_stem(const struct infer *f, const struct job *j, int32_t taken,
                        int32_t *tokens)
{
    int32_t n = j->r.n_prompt - 1 - taken * KV_PAGE;
    if (!f->config.prefix_cache || j->r.prompt_logprobs || j->turns)
        return -1;
    return prefix_stem(&f->pages, parent_of(j, taken), ids_of(j, taken),
                       n < KV_PAGE ? n : KV_PAGE, tokens);
}

void share_stem(struct infer *f, struct job *j, int32_t page, int32_t tokens)
{
    pages_share(&f->pages, page);
    j->stem = page;
    j->stem_tokens = tokens;
}

void share_release(struct infer *f, struct job *j)
{
    if (j->stem >= 0)
        pages_drop(&f->pages, j->stem);
    j->stem = -1;
}

void share_announce(struct infer *f, struct job *j, int32_t taken)
{
    if (j->turns)
        j->left = -1; /* what it fills is computed once more, in the same pages */
    if (!f->config.prefix_cache || j->r.prompt_logprobs || j->turns)
        return;
    j->left = j->awaited = taken;
    for (int32_t i = taken; i < j->r.n_prompt / KV_PAGE; i++)
        if (prefix_find(&f->pages, parent_of(j, i), ids_of(j, i)) < 0)
            prefix_put(&f->pages, j->seq.pages[i], parent_of(j, i), ids_of(j, i), KV_PAGE);
    int32_t last = j->r.n_prompt / KV_PAGE, rest = j->r.n_prompt % KV_PAGE;
    bool known = !last || prefix_state(&f->pages, j->seq.pages[last - 1]) != PAGE_PRIVATE;
    if (known && rest >= STEM_STEP)
        prefix_put(&f->pages, j->seq.pages[last], parent_of(j, last), ids_of(j, last), rest);
}

bool share_waits(struct infer *f, struct job *j)
{
    if (j->awaited && prefix_state(&f->pages, j->seq.pages[j->awaited - 1]) != PAGE_FILLED)
        return true;
    if (j->stem < 0)
        return false;
    if (prefix_state(&f->pages, j->stem) != PAGE_FILLED)
        return true;
    model_copy_page(f->model, j->seq.pages[j->seq.done / KV_PAGE], j->stem);
    j->seq.done += j->stem_tokens;
    f->stats.cached_tokens += j->stem_tokens;
    share_release(f, j);
    return false;
}

/* Leaves page i, which is filled, to others.  One that could not be announced becomes known
 * now, or makes room for the one that is: their contents are the same.  False where another
 * request is about to fill that one; this one's later pages then have no place in the tree. */
static bool leave(struct infer *f, struct job *j, int32_t i)
{
    struct pages *p = &f->pages;
    int32_t own = j->seq.pages[i];
    if (prefix_state(p, own) == PAGE_PRIVATE) {
        int32_t known = prefix_find(p, parent_of(j, i), ids_of(j, i));
        if (known >= 0) {
            if (prefix_state(p, known) != PAGE_FILLED)
                return false;
            pages_share(p, known);
            pages_drop(p, own);
            j->seq.pages[i] = known;
            return true;
        }
        prefix_put(p, own, parent_of(j, i), ids_of(j, i), KV_PAGE);
    }
    prefix_filled(p, own);
    return true;
}

void share_leave(struct infer *f, struct job *j)
{
    int32_t tokens = j->seq.done < j->r.n_prompt ? j->seq.done : j->r.n_prompt;
    if (!f->config.prefix_cache)
        return;
    while (j->left >= 0 && j->left < tokens / KV_PAGE)
        j->left = leave(f, j, j->left) ? j->left + 1 : -1;
    int32_t last = j->r.n_prompt / KV_PAGE;
    if (tokens == j->r.n_prompt && last < j->seq.n_pages &&
        prefix_state(&f->pages, j->seq.pages[last]) == PAGE_COMING)
        prefix_filled(&f->pages, j->seq.pages[last]);
}
