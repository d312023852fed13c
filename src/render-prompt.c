/* render-prompt.c - makes messages, and prompts, from records by a template. */
#include "base/args.h"
#include "base/file.h"
#include "rec/filter.h"
#include "text/chat.h"
#include "text/mask_show.h"
#include "text/strategy.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MESSAGES, PARAMS, PROMPT, MASK, N_ADDED };
static const char *const added[N_ADDED] = {"messages", "params", "prompt", "mask"};

struct options {
    const char *template, *strategy, *target;
    const char *chat_dir, *chat_template, *date;
    struct arg_list set, template_args;
    int reasoning;
    bool list, overwrite, strict, quiet, reasoning_given, show_mask;
    int64_t max_record;
};

struct run {
    struct options o;
    struct strategies *strategies; /* NULL: no -t */
    size_t strategy;
    struct str params; /* the strategy's; n = 0: none */
    struct field_value *set;
    struct chat *chat;           /* NULL: no --chat */
    struct tokenizer *tokenizer; /* with --show-mask */
    struct tokenizer_work *work;
    struct mask mask;
    bool for_eyes, colour;  /* the mask goes to a terminal */
    bool reserved[N_ADDED]; /* members that a record may not have yet */
    bool replaces[N_ADDED]; /* members that we add, so --overwrite drops the record's */
    struct filter filter;
    struct buf bare, messages, prompt, kwargs;
};

/* ---- one record ----------------------------------------------------------- */

static int check_reserved(const struct run *r, const struct rec *rec, const char **type,
                          struct err *e)
{
    for (int i = 0; i < N_ADDED; i++) {
        const struct json_member *m = rec_find(rec, added[i]);
        if (r->reserved[i] && m && json_kind(m->value) != JSON_NULL) {
            *type = "reserved_member";
            return err_set(e, EXIT_DATA,
                           "the record already has \"%s\"; --overwrite replaces it", added[i]);
        }
    }
    return 0;
}

/* A member's raw JSON, n = 0 where it is absent or null. */
static int get_json(const struct rec *rec, const char *name, enum json_kind kind,
                    struct str *out, const char **type, struct err *e)
{
    const struct json_member *m = rec_find(rec, name);
    *out = (struct str){0};
    if (!m || json_kind(m->value) == JSON_NULL)
        return 0;
    if (json_kind(m->value) != kind) {
        *type = "bad_field";
        return err_set(e, EXIT_DATA, "field \"%s\" must be an %s", name,
                       kind == JSON_ARRAY ? "array" : "object");
    }
    *out = m->value;
    return 0;
}

static int make_messages(struct run *r, const struct rec *rec, const char **type, struct err *e)
{
    buf_clear(&r->messages);
    if (strategy_render(r->strategies, r->strategy, rec, r->set, r->o.set.n, &r->messages, type,
                        e) < 0)
        return -1;
    if (!r->o.target)
        return 0;
    return strategy_add_answer(rec, r->o.target, &r->messages, type, e);
}

/* The strategy's or the record's own parameter goes before the flag. */
static enum chat_reasoning reasoning(const struct run *r, const struct rec *rec)
{
    const struct json_member *m = rec_find(rec, "params");
    struct str params = r->strategies ? r->params : m ? m->value : (struct str){0}, level;
    enum chat_reasoning named = CHAT_REASONING_UNSET;
    if (params.n && json_kind(params) == JSON_OBJECT &&
        json_get(params, "reasoning_effort", &level))
        named = chat_reasoning_level(level);
    if (named == CHAT_REASONING_UNSET && r->o.reasoning_given)
        named = CHAT_REASONING_LOW + (enum chat_reasoning)r->o.reasoning;
    return named;
}

static int make_prompt(struct run *r, const struct rec *rec, const char **type, struct err *e)
{
    struct str messages = buf_str(&r->messages), tools, kwargs;
    if (get_json(rec, "tools", JSON_ARRAY, &tools, type, e) < 0 ||
        get_json(rec, "chat_template_kwargs", JSON_OBJECT, &kwargs, type, e) < 0)
        return -1;
    if (!r->strategies) {
        if (get_json(rec, "messages", JSON_ARRAY, &messages, type, e) < 0)
            return -1;
        if (!messages.n) {
            *type = "missing_field";
            return err_set(e, EXIT_DATA, "field \"messages\" missing; -t makes it");
        }
    }
    kwargs = chat_reasoning_kwargs(reasoning(r, rec), kwargs, &r->kwargs);
    buf_clear(&r->prompt);
    *type = "template_error";
    if (r->tokenizer)
        return mask_chat(r->chat, r->tokenizer, r->work, messages, tools, kwargs, &r->mask, e);
    return chat_render(r->chat, messages, tools, kwargs, true, &r->prompt, e);
}

/* True for a member of the record that ours takes the place of: without --overwrite a null. */
static bool is_replaced(const struct json_member *m, size_t index, void *arg)
{
    const struct run *r = arg;
    (void)index;
    for (int i = 0; i < N_ADDED; i++)
        if (r->replaces[i] && json_key_is(m->key, added[i]))
            return true;
    return false;
}

static void put_record(struct run *r, const struct rec *rec, struct buf *line)
{
    rec_begin_without(line, &r->bare, rec, is_replaced, r);
    if (r->strategies) {
        rec_member(line, added[MESSAGES]);
        buf_addstr(line, buf_str(&r->messages));
    }
    if (r->params.n) {
        rec_member(line, added[PARAMS]);
        buf_addstr(line, r->params);
    }
    if (r->tokenizer) {
        rec_member(line, added[MASK]);
        show_json(line, &r->mask);
    } else if (r->chat) {
        rec_member(line, added[PROMPT]);
        json_quote(line, buf_str(&r->prompt));
    }
    rec_end(line);
}

static int render(void *arg, const struct rec *rec, struct buf *line, const char **type,
                  struct err *e)
{
    struct run *r = arg;
    if (check_reserved(r, rec, type, e) < 0 ||
        (r->strategies && make_messages(r, rec, type, e) < 0) ||
        (r->chat && make_prompt(r, rec, type, e) < 0))
        return -1;
    if (r->for_eyes)
        show_text(line, &r->mask, r->tokenizer, r->work, r->colour, rec->file, rec->number);
    else
        put_record(r, rec, line);
    return 0;
}

/* ---- all records ---------------------------------------------------------- */

static void summary(const struct filter *f)
{
    struct buf earlier = {0};
    buf_printf(&earlier, ", %llu failed before", (unsigned long long)f->passed);
    warn("%llu records, %llu errors%s", (unsigned long long)f->records,
         (unsigned long long)f->failed, f->passed ? earlier.p : "");
    buf_release(&earlier);
}

static void list_strategies(struct run *r)
{
    struct err e = {0};
    struct buf b = {0};
    for (size_t i = 0; i < strategies_count(r->strategies); i++) {
        const char *about = strategy_description(r->strategies, i);
        buf_clear(&b);
        buf_printf(&b, "%s%s%s", strategy_name(r->strategies, i), *about ? "\t" : "", about);
        for (char *p = b.p; *p; p++) /* one a line, whatever the description holds */
            if (*p == '\n' || *p == '\r')
                *p = ' ';
        buf_putc(&b, '\n');
        if (out_write(&r->filter.out, b.p, b.n, &e) < 0)
            die_err(&e);
    }
    buf_release(&b);
}

/* ---- options -------------------------------------------------------------- */

static char **parse_options(struct options *o, int argc, char **argv)
{
    const struct arg table[] = {
        {.kind = ARG_GROUP, .help = "messages"},
        {.kind = ARG_STRING,
         .letter = 't',
         .name = "template",
         .to = &o->template,
         .metavar = "FILE",
         .help = "add messages by a strategy of this file"},
        {.kind = ARG_STRING,
         .letter = 's',
         .name = "strategy",
         .to = &o->strategy,
         .metavar = "NAME",
         .help = "which strategy",
         .fallback = "the only one"},
        {.kind = ARG_FLAG,
         .name = "list",
         .to = &o->list,
         .help = "list the strategies and stop"},
        {.kind = ARG_LIST,
         .name = "set",
         .to = &o->set,
         .metavar = "FIELD=VALUE",
         .help = "a field's text, whatever the record has"},
        {.kind = ARG_STRING,
         .name = "target",
         .to = &o->target,
         .metavar = "FIELD",
         .help = "add the assistant's turn, for training"},
        {.kind = ARG_GROUP, .help = "prompt"},
        {.kind = ARG_STRING,
         .name = "chat",
         .to = &o->chat_dir,
         .metavar = "DIR",
         .help = "add the prompt by this model's chat template"},
        {.kind = ARG_STRING,
         .name = "chat-template",
         .to = &o->chat_template,
         .metavar = "FILE",
         .help = "add the prompt by this chat template"},
        {.kind = ARG_LIST,
         .name = "template-arg",
         .to = &o->template_args,
         .metavar = "K=V",
         .help = "a variable of the chat template"},
        {.kind = ARG_STRING,
         .name = "date",
         .to = &o->date,
         .metavar = "DATE",
         .help = "the template's date, YYYY-MM-DD",
         .fallback = "now"},
        {.kind = ARG_CHOICE,
         .name = "reasoning",
         .to = &o->reasoning,
         .metavar = "low|medium|high|none",
         .help = "how much the model is to think",
         .fallback = "unset",
         .given = &o->reasoning_given},
        {.kind = ARG_FLAG,
         .name = "show-mask",
         .to = &o->show_mask,
         .help = "add the tokens that training would learn"},
        {.kind = ARG_GROUP, .help = "records"},
        {.kind = ARG_FLAG,
         .name = "overwrite",
         .to = &o->overwrite,
         .help = "replace members that a record already has"},
        {.kind = ARG_FLAG,
         .name = "strict",
         .to = &o->strict,
         .help = "stop at the first bad record"},
        {.kind = ARG_SIZE,
         .name = "max-record",
         .to = &o->max_record,
         .metavar = "SIZE",
         .help = "longest line taken",
         .min = 2,
         .max = 1LL << 40},
        {.kind = ARG_FLAG,
         .letter = 'q',
         .name = "quiet",
         .to = &o->quiet,
         .help = "no summary"},
    };
    const struct args a = {
        .usage = "[-t FILE [-s NAME]] [--chat DIR] [FILE...]",
        .about = "Makes messages, and prompts, from records by a template.",
        .table = table,
        .n = ARGS_COUNT(table),
        .max_files = -1,
        .help_on_tty = true,
    };
    return args_parse(&a, argc, argv);
}

static void check_options(const struct options *o)
{
    bool chat = o->chat_dir || o->chat_template;
    const char *alone = o->list       ? "--list"
                        : o->strategy ? "--strategy"
                        : o->set.n    ? "--set"
                        : o->target   ? "--target"
                                      : NULL;
    if (alone && !o->template)
        die(EXIT_USAGE, "%s needs strategies; give -t FILE", alone);
    alone = o->template_args.n   ? "--template-arg"
            : o->date            ? "--date"
            : o->reasoning_given ? "--reasoning"
                                 : NULL;
    if (alone && !chat)
        die(EXIT_USAGE, "%s needs a chat template; give --chat DIR or --chat-template FILE",
            alone);
    if (!o->template && !chat)
        die(EXIT_USAGE, "nothing to do; give -t FILE, --chat DIR or both");
    if (o->show_mask && !o->chat_dir)
        die(EXIT_USAGE, "--show-mask needs a model's tokenizer and template; give --chat DIR");
    if (o->target && chat && !o->show_mask)
        die(EXIT_USAGE, "--target makes training messages, --chat a prompt that has no answer "
                        "yet; give one of them");
}

static void parse_set(struct run *r)
{
    r->set = xcalloc(r->o.set.n, sizeof *r->set);
    for (size_t i = 0; i < r->o.set.n; i++) {
        const char *s = r->o.set.items[i], *eq = strchr(s, '=');
        if (!eq || eq == s)
            die(EXIT_USAGE, "--set: must be FIELD=VALUE, not '%s'", s);
        if (!utf8_check(s, strlen(s)))
            die(EXIT_USAGE, "--set: '%s' is not UTF-8", s);
        r->set[i] = (struct field_value){{s, (size_t)(eq - s)}, str_of(eq + 1)};
    }
}

static void open_strategy(struct run *r)
{
    struct err e = {0};
    int found = strategy_find(r->strategies, r->o.strategy, &e);
    if (found < 0)
        die(e.status, "%s: %s", r->o.template, e.text);
    r->strategy = (size_t)found;
    r->params = strategy_params(r->strategies, r->strategy);
    parse_set(r);
    r->replaces[MESSAGES] = true;
    r->replaces[PARAMS] = r->params.n > 0;
    r->reserved[MESSAGES] = r->reserved[PARAMS] = !r->o.overwrite;
}

static void open_chat(struct run *r)
{
    struct err e = {0};
    struct arg_list *args = &r->o.template_args;
    const struct chat_options o = {.dir = r->o.chat_dir,
                                   .template_file = r->o.chat_template,
                                   .args = args->items,
                                   .n_args = args->n,
                                   .date = r->o.date};
    r->chat = chat_open(&o, &e);
    /* A model that has no template is no missing input here: it cannot be used. */
    if (!r->chat && e.status == EXIT_NOINPUT && !r->o.chat_template)
        e.status = EXIT_CONFIG;
    if (!r->chat)
        die_err(&e);
    int adds = r->o.show_mask ? MASK : PROMPT;
    r->replaces[adds] = true;
    r->reserved[adds] = !r->o.overwrite;
    if (!r->o.show_mask)
        return;
    if (!(r->tokenizer = tokenizer_load(r->o.chat_dir, &e)))
        die(EXIT_CONFIG, "%s", e.text);
    r->work = tokenizer_work_new(r->tokenizer);
    r->for_eyes = show_is_terminal(&r->colour);
}

static void release(struct run *r)
{
    free(r->set);
    free(r->o.set.items);
    free(r->o.template_args.items);
    strategies_free(r->strategies);
    chat_free(r->chat);
    mask_release(&r->mask);
    tokenizer_work_free(r->work);
    tokenizer_free(r->tokenizer);
    filter_release(&r->filter);
    buf_release(&r->bare);
    buf_release(&r->messages);
    buf_release(&r->prompt);
    buf_release(&r->kwargs);
}

int main(int argc, char **argv)
{
    tool_name = "render-prompt";
    static char dash[] = "-", *standard_input[] = {dash, NULL};
    struct run r = {.o.max_record = 16 << 20};
    struct err e = {0};
    char **files = parse_options(&r.o, argc, argv);
    check_options(&r.o);
    r.filter = (struct filter){.stage = tool_name,
                               .max_record = (size_t)r.o.max_record,
                               .strict = r.o.strict,
                               .convert = render,
                               .arg = &r};
    out_open(&r.filter.out, STDOUT_FILENO, "<stdout>");
    if (r.o.template && !(r.strategies = strategies_load(r.o.template, &e)))
        die_err(&e);
    if (r.o.list) {
        list_strategies(&r);
    } else {
        if (r.strategies)
            open_strategy(&r);
        if (r.o.chat_dir || r.o.chat_template)
            open_chat(&r);
        for (char **f = *files ? files : standard_input; *f; f++)
            if (filter_file(&r.filter, *f, &e) < 0)
                die_err(&e);
    }
    if (out_close(&r.filter.out, &e) < 0)
        die_err(&e);
    if (!r.o.list && !r.o.quiet)
        summary(&r.filter);
    release(&r);
    return EXIT_OK;
}
