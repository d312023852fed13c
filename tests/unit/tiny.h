/* tiny.h - a model directory for one test: a tokenizer whose tokens are the characters of ASCII
 * and some added ones, perhaps with a chat template. */
#ifndef TINY_H
#define TINY_H

#include "base/buf.h"
#include "rec/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void tiny_write(const char *dir, const char *name, struct str text)
{
    char *path = xasprintf("%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    if (!f || fwrite(text.p, 1, text.n, f) != text.n || fclose(f))
        die(EXIT_IO, "%s:", path);
    free(path);
}

static inline void tiny_tokenizer(struct buf *b, const char *const *tokens)
{
    int id = 0;
    buf_puts(b, "{\"model\":{\"type\":\"BPE\",\"merges\":[],\"vocab\":{\"\\n\":0");
    for (char ch = ' '; ch < 127; ch++) {
        buf_putc(b, ',');
        json_quote(b, (struct str){&ch, 1});
        buf_printf(b, ":%d", ++id);
    }
    buf_puts(b, "}},\"decoder\":{\"type\":\"Fuse\"},\"added_tokens\":[");
    for (size_t i = 0; tokens[i]; i++) {
        buf_printf(b, "%s{\"id\":%d,\"content\":", i ? "," : "", ++id);
        json_quote(b, str_of(tokens[i]));
        /* as in Qwen's files: tags are added, but not special */
        buf_printf(b,
                   ",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"
                   "\"normalized\":false,\"special\":%s}",
                   tokens[i][0] == '<' && tokens[i][1] == '|' ? "true" : "false");
    }
    buf_puts(b, "]}");
}

/* Makes a new directory of the name, which ends in XXXXXX; tokens end with NULL, template may
 * be NULL. */
static inline void tiny_model(char *dir, const char *const *tokens, const char *template)
{
    struct buf b = {0};
    if (!mkdtemp(dir))
        die(EXIT_IO, "%s:", dir);
    tiny_tokenizer(&b, tokens);
    tiny_write(dir, "tokenizer.json", buf_str(&b));
    if (template)
        tiny_write(dir, "chat_template.jinja", str_of(template));
    buf_release(&b);
}

static inline void tiny_remove(const char *dir)
{
    static const char *const names[] = {"tokenizer.json", "chat_template.jinja"};
    for (size_t i = 0; i < 2; i++) {
        char *path = xasprintf("%s/%s", dir, names[i]);
        unlink(path);
        free(path);
    }
    rmdir(dir);
}

#endif
