/* tok_bench.c - speed of the tokenizer, in process, one thread.
 *
 *     tok_bench load DIR N           seconds to load DIR/tokenizer.json, N times
 *     tok_bench encode DIR FILE N    MB/s over the texts of a JSONL file, N times
 *     tok_bench prompts DIR FILE N   records/s of rendering and encoding `messages`, N times
 *
 * One number a line, with the number of tokens behind a speed.  Time is processor time, so that
 * other work on the machine counts as little as it can.
 */
#include "base/file.h"
#include "rec/json.h"
#include "text/chat.h"
#include "text/prompt.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct texts {
    struct str *v;
    size_t n, cap, bytes;
};

/* The member of each line: decoded where it is a string, else as it stands. */
static struct texts read_texts(const char *path, const char *member)
{
    struct texts t = {0};
    struct buf file = {0};
    struct err e = {0};
    if (file_read(&file, path, 1 << 30, &e) < 0)
        die_err(&e);
    for (const char *p = file.p, *end = file.p + file.n; p < end;) {
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        struct str line = {p, (size_t)((lf ? lf : end) - p)}, value;
        struct buf text = {0};
        if (json_check(line.p, line.n, NULL, &(struct json_fault){0}) < 0 ||
            !json_get(line, member, &value))
            die(EXIT_DATA, "%s: a line without \"%s\"", path, member);
        if (json_kind(value) != JSON_STRING)
            buf_addstr(&text, value);
        else if (!json_decode(&text, value))
            die(EXIT_DATA, "%s: a text that is no Unicode", path);
        GROW(t.v, t.cap, t.n + 1);
        t.v[t.n++] = buf_str(&text);
        t.bytes += text.n;
        p = lf ? lf + 1 : end;
    }
    buf_release(&file);
    return t;
}

static struct tokenizer *load(const char *dir)
{
    struct err e = {0};
    struct tokenizer *t = tokenizer_load(dir, &e);
    if (!t)
        die_err(&e);
    return t;
}

static void bench_load(const char *dir, int passes)
{
    for (int i = 0; i < passes; i++) {
        double begin = now();
        struct tokenizer *t = load(dir);
        printf("%.6f\n", now() - begin);
        tokenizer_free(t);
    }
}

/* messages: NULL, or the texts are messages for this template. */
static void bench_texts(const char *dir, struct texts texts, const struct chat *messages,
                        int passes)
{
    struct tokenizer *t = load(dir);
    struct tokenizer_work *w = tokenizer_work_new(t);
    struct ids ids = {0};
    struct buf prompt = {0};
    struct str none = {0};
    struct err e = {0};
    for (int i = 0; i < passes; i++) {
        double begin = now();
        size_t tokens = 0;
        for (size_t k = 0; k < texts.n; k++) {
            struct str text = texts.v[k];
            if (messages) {
                buf_clear(&prompt);
                if (chat_render(messages, text, none, none, true, &prompt, &e) < 0)
                    die_err(&e);
                text = buf_str(&prompt);
            }
            ids.n = 0;
            if (prompt_encode(t, w, text, false, &ids, &e) < 0)
                die_err(&e);
            tokens += ids.n;
        }
        double s = now() - begin;
        printf("%.3f %zu\n", messages ? (double)texts.n / s : 1e-6 * (double)texts.bytes / s,
               tokens);
    }
    ids_release(&ids);
    buf_release(&prompt);
    tokenizer_work_free(w);
    tokenizer_free(t);
}

int main(int argc, char **argv)
{
    tool_name = "tok_bench";
    struct err e = {0};
    bool prompts = argc == 5 && !strcmp(argv[1], "prompts");
    if (argc == 4 && !strcmp(argv[1], "load")) {
        bench_load(argv[2], atoi(argv[3]));
    } else if (prompts || (argc == 5 && !strcmp(argv[1], "encode"))) {
        struct chat *c = prompts ? chat_open(&(struct chat_options){.dir = argv[2]}, &e) : NULL;
        if (prompts && !c)
            die_err(&e);
        bench_texts(argv[2], read_texts(argv[3], prompts ? "messages" : "text"), c,
                    atoi(argv[4]));
        chat_free(c);
    } else {
        die(EXIT_USAGE, "usage: tok_bench load DIR N | encode DIR FILE N | prompts DIR FILE N");
    }
    return fflush(stdout) ? EXIT_IO : EXIT_OK;
}
