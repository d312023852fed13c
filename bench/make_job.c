/* make_job.c - writes the records of the job that this program is built for.
 *
 *     make_job MODEL_DIR RECORDS SHARED OWN > job.jsonl
 *
 * Each record has `messages`: a system turn of about SHARED tokens that all have in common, and
 * a user's of about OWN tokens.  The same arguments give the same bytes.
 */
#include "rec/json.h"
#include "text/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const words[] = {
    "the",     "customer", "asks",    "about",   "an",      "order",   "that",  "has",
    "not",     "come",     "yet",     "and",     "wants",   "to",      "know",  "when",
    "parcel",  "was",      "sent",    "because", "payment", "went",    "out",   "last",
    "week",    "account",  "shows",   "no",      "change",  "please",  "look",  "into",
    "it",      "write",    "back",    "soon",    "or",      "call",    "him",   "on",
    "number",  "from",     "first",   "message", "with",    "billing", "error", "thanks",
    "delayed", "refund",   "address", "wrong",   "screen",  "login",   "reset"};

static uint64_t state = 7;

/* Appends words until the text has n tokens. */
static void fill(struct buf *text, const struct tokenizer *t, struct tokenizer_work *w,
                 size_t n)
{
    struct ids ids = {0};
    struct err e = {0};
    while (ids.n < n) {
        for (size_t i = 0; i < (n - ids.n + 3) / 4; i++) {
            state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            size_t k = (size_t)(state >> 33) % (sizeof words / sizeof *words);
            buf_printf(text, "%s%s", text->n ? " " : "", words[k]);
        }
        ids.n = 0;
        if (tokenizer_encode(t, w, buf_str(text), false, &ids, &e) < 0)
            die_err(&e);
    }
    ids_release(&ids);
}

int main(int argc, char **argv)
{
    tool_name = "make_job";
    struct err e = {0};
    if (argc != 5)
        die(EXIT_USAGE, "usage: make_job MODEL_DIR RECORDS SHARED OWN");
    struct tokenizer *t = tokenizer_load(argv[1], &e);
    if (!t)
        die_err(&e);
    struct tokenizer_work *w = tokenizer_work_new(t);
    struct buf shared = {0}, own = {0}, line = {0};
    fill(&shared, t, w, strtoul(argv[3], NULL, 10));
    for (long i = 0; i < atol(argv[2]); i++) {
        buf_clear(&own);
        buf_clear(&line);
        fill(&own, t, w, strtoul(argv[4], NULL, 10));
        buf_printf(&line, "{\"id\":%ld,\"messages\":[{\"role\":\"system\",\"content\":", i);
        json_quote(&line, buf_str(&shared));
        buf_puts(&line, "},{\"role\":\"user\",\"content\":");
        json_quote(&line, buf_str(&own));
        buf_puts(&line, "}]}");
        puts(line.p);
    }
    if (fflush(stdout))
        die(EXIT_IO, "write <stdout>:");
    buf_release(&shared);
    buf_release(&own);
    buf_release(&line);
    tokenizer_work_free(w);
    tokenizer_free(t);
    return EXIT_OK;
}
