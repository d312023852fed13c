/* shape_bench.c - shape_bench DIR [SEQUENCES]: microseconds that a shape costs for each token,
 * with the tokenizer of DIR: masks, and walking what was chosen.
 *
 * Texts of a schema are drawn token by token, SEQUENCES (16) side by side; the first pass,
 * which finds what each place allows, and the passes behind it are told apart.
 */
#include "base/random.h"
#include "grammar/masks.h"
#include "infer/sample.h"
#include "text/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { PASSES = 6, TOKENS = 80, SEQUENCES_MAX = 256 };

static const char schema[] =
    "{\"type\":\"object\",\"properties\":{\"topic\":{\"enum\":[\"billing\",\"technical\","
    "\"shipping\","
    "\"account\"]},\"summary\":{\"type\":\"string\",\"maxLength\":200},\"confidence\":{"
    "\"type\":"
    "\"number\",\"minimum\":0,\"maximum\":1},\"tags\":{\"type\":\"array\",\"items\":{\"type\":"
    "\"string\"},"
    "\"maxItems\":8},\"date\":{\"type\":\"string\",\"format\":\"date\"}},\"required\":["
    "\"topic\","
    "\"summary\",\"confidence\",\"tags\"],\"additionalProperties\":false}";

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static struct vocab *open_vocab(const char *dir)
{
    struct err e = {0};
    struct buf b = {0};
    struct tokenizer *t = tokenizer_load(dir, &e);
    if (!t || !tokenizer_has_bytes(t))
        die(EXIT_CONFIG, "%s: %s", dir, t ? "its tokens have no bytes" : e.text);
    struct vocab *v = vocab_new(tokenizer_size(t));
    for (int32_t i = 0; i < tokenizer_size(t); i++) {
        buf_clear(&b);
        if (tokenizer_bytes(t, i, &b))
            vocab_add(v, i, buf_str(&b));
    }
    vocab_build(v);
    buf_release(&b);
    tokenizer_free(t);
    return v;
}

/* One of the ids that may come, by chance. */
static int32_t draw(const uint64_t *set, int32_t n, uint64_t *random)
{
    int32_t id = (int32_t)random_below(random, (uint64_t)n);
    for (int32_t i = 0; i < n; i++, id = (id + 1) % n)
        if (set[id / 64] >> id % 64 & 1)
            return id;
    return -1;
}

/* Seconds for all tokens of one pass; *tokens: how many there were. */
static double pass(struct grammar *g, struct masks *m, const struct vocab *v, float *logits,
                   int sequences, uint64_t *random, int64_t *tokens)
{
    static uint32_t states[SEQUENCES_MAX];
    double seconds = 0;
    *tokens = 0;
    for (int i = 0; i < sequences; i++)
        states[i] = grammar_start(g);
    for (int t = 0; t < TOKENS; t++) {
        for (int i = 0; i < sequences; i++) {
            double begin = now();
            const uint64_t *set = masks_of(m, states[i]);
            sample_mask(set, logits, vocab_size(v));
            seconds += now() - begin;
            int32_t id = draw(set, vocab_size(v), random);
            begin = now();
            states[i] = id < 0 ? grammar_start(g)
                               : grammar_walk(g, states[i], vocab_bytes(v, id));
            seconds += now() - begin;
            ++*tokens;
        }
    }
    return seconds;
}

int main(int argc, char **argv)
{
    tool_name = "shape_bench";
    struct err e = {0};
    uint64_t random = 1;
    int sequences = argc > 2 ? atoi(argv[2]) : 16;
    if (argc < 2 || sequences < 1 || sequences > SEQUENCES_MAX)
        die(EXIT_USAGE, "usage: shape_bench DIR [SEQUENCES]");
    struct vocab *v = open_vocab(argv[1]);
    float *logits = xcalloc((size_t)vocab_size(v), sizeof *logits);
    double begin = now();
    struct grammar *g = grammar_schema(str_of(schema), &e);
    if (!g)
        die_err(&e);
    struct masks *m = masks_new(g, v);
    double compile = now() - begin, first = 0, later = 0;
    int64_t n, tokens = 0;
    for (int i = 0; i < PASSES; i++) {
        double seconds = pass(g, m, v, logits, sequences, &random, &n);
        if (i) {
            later += seconds;
            tokens += n;
        } else {
            first = 1e6 * seconds / (double)n;
        }
    }
    printf("%d tokens: compiled in %.2f ms, %.1f us a token at first, %.1f us later\n",
           (int)vocab_size(v), 1e3 * compile, first, 1e6 * later / (double)tokens);
    masks_free(m);
    grammar_free(g);
    vocab_free(v);
    free(logits);
    return 0;
}
