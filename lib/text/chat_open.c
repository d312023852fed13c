/* chat_open.c - where chat templates, special tokens and dates come from. */
#include "text/chat_priv.h"

#include "base/file.h"
#include "base/hash.h"
#include "rec/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { FILE_MAX = 64 << 20 };

/* ---- variables ---- */

static struct buf *add_var(struct chat *c, struct str name)
{
    GROW(c->vars, c->cap_vars, c->n_vars + 1);
    struct chat_var *v = &c->vars[c->n_vars++];
    *v = (struct chat_var){.name = xstrndup(name.p, name.n)};
    return &v->json;
}

static bool has_var(const struct chat *c, const char *name)
{
    for (size_t i = 0; i < c->n_vars; i++)
        if (!strcmp(c->vars[i].name, name))
            return true;
    return false;
}

/* A token stands as a string or as {"content": string, …}; n = 0 where it is neither. */
static struct str token_text(struct str v)
{
    struct str content;
    if (json_kind(v) == JSON_STRING)
        return v;
    if (json_kind(v) == JSON_OBJECT && json_get(v, "content", &content) &&
        json_kind(content) == JSON_STRING)
        return content;
    return (struct str){0};
}

static void add_token(struct chat *c, const char *name, struct str v)
{
    struct str text = token_text(v);
    if (text.n > 2 && !has_var(c, name))
        buf_addstr(add_var(c, str_of(name)), text);
}

static void add_token_list(struct chat *c, const char *name, struct str list)
{
    struct str item;
    if (json_kind(list) != JSON_ARRAY || has_var(c, name))
        return;
    struct buf *json = add_var(c, str_of(name));
    buf_putc(json, '[');
    for (struct json_iter it = json_iter(list); json_next(&it, NULL, &item);) {
        if (!token_text(item).n)
            continue;
        if (json->n > 1)
            buf_putc(json, ',');
        buf_addstr(json, token_text(item));
    }
    buf_putc(json, ']');
}

/* The tokens that transformers hands to a template, from either of the two files. */
static void add_tokens(struct chat *c, struct str config)
{
    static const char *const names[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                        "pad_token", "cls_token", "mask_token"};
    struct str v, key;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (json_get(config, names[i], &v))
            add_token(c, names[i], v);
    if (json_get(config, "additional_special_tokens", &v))
        add_token_list(c, "additional_special_tokens", v);
    if (!json_get(config, "extra_special_tokens", &v) || json_kind(v) != JSON_OBJECT)
        return;
    struct str item;
    for (struct json_iter it = json_iter(v); json_next(&it, &key, &item);) {
        struct buf name = {0};
        json_decode(&name, key);
        buf_putc(&name, 0);
        add_token(c, name.p, item);
        buf_release(&name);
    }
}

/* ---- template arguments and date ---- */

static int add_args(struct chat *c, const struct chat_options *o, struct err *e)
{
    struct json_fault fault;
    for (size_t i = 0; i < o->n_args; i++) {
        const char *arg = o->args[i], *eq = strchr(arg, '=');
        if (!eq || eq == arg)
            return err_set(e, EXIT_USAGE, "template argument '%s': give it as NAME=VALUE", arg);
        struct buf *json = add_var(c, (struct str){arg, (size_t)(eq - arg)});
        struct str v = str_of(eq + 1);
        if (!utf8_check(v.p, v.n))
            return err_set(e, EXIT_USAGE, "template argument '%s' is not UTF-8", arg);
        if (json_check(v.p, v.n, NULL, &fault) == 0) {
            while (v.n && strchr(" \t\r\n", v.p[0]))
                v.p++, v.n--;
            buf_addstr(json, v);
        } else {
            json_quote(json, v);
        }
    }
    return 0;
}

static bool parse_date(const char *s, struct tm *t)
{
    int end = 0, n = (int)strlen(s);
    *t = (struct tm){0};
    if (sscanf(s, "%4d-%2d-%2d%n", &t->tm_year, &t->tm_mon, &t->tm_mday, &end) != 3 ||
        end != 10)
        return false;
    if (n > end) {
        int more = 0;
        if (sscanf(s + end, "T%2d:%2d:%2d%n", &t->tm_hour, &t->tm_min, &t->tm_sec, &more) !=
                3 ||
            more != 9)
            return false;
        end += more;
    }
    if (end != n)
        return false;
    t->tm_year -= 1900;
    t->tm_mon--;
    struct tm exact = *t;
    timegm(&exact); /* brings 30 February to March */
    return exact.tm_mday == t->tm_mday && exact.tm_mon == t->tm_mon &&
           exact.tm_hour == t->tm_hour && exact.tm_min == t->tm_min &&
           exact.tm_sec == t->tm_sec;
}

static int set_date(struct chat *c, const char *date, struct err *e)
{
    struct tm t;
    if (!date) {
        time_t now = time(NULL);
        localtime_r(&now, &t);
    } else if (!parse_date(date, &t)) {
        return err_set(e, EXIT_USAGE, "date '%s': give it as YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS",
                       date);
    }
    c->now = (struct jinja_time){t.tm_year + 1900, t.tm_mon + 1, t.tm_mday,
                                 t.tm_hour,        t.tm_min,     t.tm_sec};
    strftime(c->date, sizeof c->date, "%Y-%m-%dT%H:%M:%S", &t);
    return 0;
}

/* ---- files ---- */

/* Reads dir/name: 1 read, 0 there is none. */
static int read_part(struct buf *b, const char *dir, const char *name, struct err *e)
{
    char *path = xasprintf("%s/%s", dir, name);
    int rc = 0;
    if (access(path, F_OK) == 0)
        rc = file_read_document(b, path, FILE_MAX, e) < 0 ? -1 : 1;
    free(path);
    return rc;
}

/* A JSON file of the model directory; *object is a slice of b. */
static int read_json(struct buf *b, struct str *object, const char *dir, const char *name,
                     struct err *e)
{
    struct json_fault fault;
    int rc = read_part(b, dir, name, e);
    *object = STR("{}");
    if (rc <= 0)
        return rc;
    if (json_check(b->p, b->n, NULL, &fault) < 0)
        return err_set(e, EXIT_CONFIG, "%s/%s: %s at byte %zu", dir, name, fault.what,
                       fault.at);
    struct str s = buf_str(b);
    while (s.n && strchr(" \t\r\n", s.p[0]))
        s.p++, s.n--;
    while (s.n && strchr(" \t\r\n", s.p[s.n - 1]))
        s.n--;
    if (json_kind(s) != JSON_OBJECT)
        return err_set(e, EXIT_CONFIG, "%s/%s is not a JSON object", dir, name);
    *object = s;
    return 1;
}

static int parse_template(struct chat *c, struct jinja **to, const char *name,
                          struct str source, struct err *e)
{
    *to = jinja_new(name, source, e);
    c->source_hash = hash_bytes(c->source_hash, source.p, source.n);
    buf_addstr(&c->source, source);
    c->uses_date |= source.n && memmem(source.p, source.n, "strftime_now", 12);
    return *to ? 0 : -1;
}

static int parse_member(struct chat *c, struct jinja **to, const char *name, struct str json,
                        struct err *e)
{
    struct buf text = {0};
    if (json_kind(json) != JSON_STRING)
        return err_set(e, EXIT_CONFIG, "%s is not a string", name);
    json_decode(&text, json);
    int rc = parse_template(c, to, name, buf_str(&text), e);
    buf_release(&text);
    return rc;
}

/* [{"name": …, "template": …}, …]: "default", and "tool_use" for records with tools. */
static int parse_named(struct chat *c, struct str list, struct err *e)
{
    struct str item, name, source;
    for (struct json_iter it = json_iter(list); json_next(&it, NULL, &item);) {
        if (json_kind(item) != JSON_OBJECT || !json_get(item, "name", &name) ||
            !json_get(item, "template", &source) || json_kind(name) != JSON_STRING)
            return err_set(e, EXIT_CONFIG,
                           "tokenizer_config.json: chat_template is a list, but not of names "
                           "and templates");
        int rc = 0;
        if (!c->plain && json_key_is(name, "default"))
            rc = parse_member(c, &c->plain, "chat_template default", source, e);
        else if (!c->with_tools && json_key_is(name, "tool_use"))
            rc = parse_member(c, &c->with_tools, "chat_template tool_use", source, e);
        if (rc < 0)
            return -1;
    }
    if (!c->plain)
        return err_set(e, EXIT_CONFIG,
                       "tokenizer_config.json: none of its chat templates is named 'default'; "
                       "choose one with --chat-template");
    return 0;
}

static int find_in_dir(struct chat *c, const char *dir, struct str config, struct err *e)
{
    struct buf text = {0};
    struct str json;
    int rc = read_part(&text, dir, "chat_template.jinja", e);
    if (rc > 0)
        rc = parse_template(c, &c->plain, "chat_template.jinja", buf_str(&text), e);
    else if (rc == 0 && json_get(config, "chat_template", &json) &&
             json_kind(json) == JSON_ARRAY)
        rc = parse_named(c, json, e);
    else if (rc == 0 && json_get(config, "chat_template", &json) &&
             json_kind(json) != JSON_NULL)
        rc = parse_member(c, &c->plain, "chat_template", json, e);
    else if (rc == 0)
        rc = err_set(e, EXIT_NOINPUT,
                     "%s has no chat template; give one with --chat-template, or send prompts "
                     "instead of messages",
                     dir);
    buf_release(&text);
    return rc;
}

static int open_file(struct chat *c, const char *path, struct err *e)
{
    struct buf text = {0};
    int rc = file_read(&text, path, FILE_MAX, e);
    if (rc == 0)
        rc = parse_template(c, &c->plain, path, buf_str(&text), e);
    buf_release(&text);
    return rc;
}

static int open_parts(struct chat *c, const struct chat_options *o, struct err *e)
{
    struct buf config = {0}, map = {0};
    struct str object = STR("{}"), tokens = STR("{}");
    int rc = set_date(c, o->date, e);
    if (rc == 0 && o->dir)
        rc = read_json(&config, &object, o->dir, "tokenizer_config.json", e);
    if (rc >= 0 && o->dir)
        rc = read_json(&map, &tokens, o->dir, "special_tokens_map.json", e);
    if (rc >= 0) {
        add_tokens(c, object);
        add_tokens(c, tokens);
        rc = add_args(c, o, e);
    }
    if (rc == 0 && o->template_file)
        rc = open_file(c, o->template_file, e);
    else if (rc == 0 && o->dir)
        rc = find_in_dir(c, o->dir, object, e);
    else if (rc == 0)
        rc = err_set(e, EXIT_CONFIG, "no chat template: give a model directory or a file");
    buf_release(&config);
    buf_release(&map);
    return rc;
}

struct chat *chat_open(const struct chat_options *o, struct err *e)
{
    struct chat *c = xcalloc(1, sizeof *c);
    c->source_hash = HASH_SEED;
    if (open_parts(c, o, e) < 0) {
        chat_free(c);
        return NULL;
    }
    chat_find_turn_end(c);
    return c;
}
