/* adapters.c - the LoRA adapters of a run: --adapter, and the name that a record gives. */
#include "gpu-infer/adapters.h"

#include "rec/json.h"

#include <stdlib.h>

/* Letters before the first '='; a '/' among them makes it a path. */
static size_t name_length(const char *word)
{
    size_t n = strcspn(word, "=/");
    return word[n] == '=' ? n : 0;
}

static int add(struct adapters *a, const char *word, struct err *e)
{
    size_t n = name_length(word);
    const char *dir = n ? word + n + 1 : word;
    if (*word == '=' || !*dir || !utf8_check(word, n))
        return err_set(e, EXIT_USAGE, "--adapter: must be DIR or NAME=DIR, not '%s'", word);
    for (size_t i = 0; i < a->n; i++) {
        const char *name = a->v[i].name;
        if (!n && !name)
            return err_set(e, EXIT_USAGE,
                           "--adapter: two for all records; name them, NAME=DIR");
        if (n && name && strlen(name) == n && !memcmp(name, word, n))
            return err_set(e, EXIT_USAGE, "--adapter: the name '%s' is given twice", name);
    }
    struct adapter_entry *entry = &a->v[a->n];
    if (!(entry->peft = peft_open(dir, e)))
        return -1;
    entry->name = n ? xstrndup(word, n) : NULL;
    a->n++;
    return 0;
}

int adapters_open(struct adapters *a, const struct arg_list *list, struct err *e)
{
    *a = (struct adapters){.v = xcalloc(list->n, sizeof *a->v)};
    for (size_t i = 0; i < list->n; i++)
        if (add(a, list->items[i], e) < 0)
            return -1;
    return 0;
}

int adapters_load(struct adapters *a, struct model *m, struct err *e)
{
    for (size_t i = 0; i < a->n; i++)
        if ((a->v[i].number = model_load_adapter(m, a->v[i].peft, e)) < 0)
            return -1;
    return 0;
}

void adapters_close(struct adapters *a)
{
    for (size_t i = 0; i < a->n; i++) {
        free(a->v[i].name);
        peft_close(a->v[i].peft);
    }
    free(a->v);
    *a = (struct adapters){0};
}

int32_t adapters_default(const struct adapters *a)
{
    for (size_t i = 0; i < a->n; i++)
        if (!a->v[i].name)
            return a->v[i].number;
    return 0;
}

int32_t adapters_find(const struct adapters *a, struct str name, struct err *e)
{
    struct buf known = {0};
    for (size_t i = 0; i < a->n; i++) {
        if (!a->v[i].name)
            continue;
        if (str_is(name, a->v[i].name)) {
            buf_release(&known);
            return a->v[i].number;
        }
        buf_printf(&known, "%s%s", known.n ? ", " : "", a->v[i].name);
    }
    err_set(e, EXIT_DATA, "adapter \"%.*s\" is not known; %s%s",
            (int)(name.n < 80 ? name.n : 80), name.p,
            known.n ? "there are " : "no --adapter NAME=DIR was given", known.n ? known.p : "");
    buf_release(&known);
    return -1;
}
