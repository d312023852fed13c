/* format.c - the reference cases of prompt templates (material/format). */
#include "golden.h"

#include "base/file.h"
#include "rec/rec.h"
#include "text/format.h"
#include "text/strategy.h"

/* The verdict on a template by itself. */
static const char *verdict_of(struct str raw)
{
    struct buf text = {0};
    struct format f = {0};
    struct format_fault fault;
    json_decode(&text, raw);
    enum format_verdict v = format_parse(&f, buf_str(&text), &fault);
    format_release(&f);
    buf_release(&text);
    return v == FORMAT_BAD ? "bad_template" : v == FORMAT_REFUSED ? "refuse_template" : "ok";
}

/* Renders the record; the text of the one message, or the error type. */
static const char *render(const struct strategies *s, struct str record, struct buf *text,
                          struct err *e)
{
    struct rec rec = {.line = record, .file = "record"};
    struct buf out = {0};
    struct str message = {0}, content;
    const char *type = "ok";
    rec_parse(&rec);
    if (strategy_render(s, 0, &rec, NULL, 0, &out, &type, e) == 0) {
        struct json_iter it = json_iter(buf_str(&out));
        if (json_next(&it, NULL, &message) && json_get(message, "content", &content))
            json_decode(text, content);
        else
            type = "no message";
    }
    rec_release(&rec);
    buf_release(&out);
    return type;
}

static void check_case(struct golden_count *c, struct str line)
{
    struct str id, template, record, verdict = {0}, expected = {0};
    struct buf file = {0}, want = {0}, got = {0}, text = {0};
    struct err e = {0};
    if (!json_get(line, "id", &id) || !json_get(line, "template", &template) ||
        !json_get(line, "record", &record) ||
        json_get(line, "verdict", &verdict) == json_get(line, "expected", &expected)) {
        golden_fail(c, "a case that is none: %.*s", (int)line.n, line.p);
        return;
    }
    json_decode(&want, verdict.n ? verdict : STR("\"ok\""));
    buf_printf(&file, "{\"strategies\":{\"t\":{\"user_template\":%.*s}}}", (int)template.n,
               template.p);
    struct strategies *s = strategies_parse("case", buf_str(&file), &e);
    const char *type = s ? render(s, record, &got, &e) : verdict_of(template);
    if (expected.n)
        json_decode(&text, expected);
    if (str_is(buf_str(&want), type) && str_eq(buf_str(&text), buf_str(&got)))
        c->passed++;
    else
        golden_fail(c, "%.*s: %s, not %s: %.*s (%s)", (int)id.n, id.p, type, want.p, (int)got.n,
                    got.p ? got.p : "", e.text);
    strategies_free(s);
    buf_release(&file);
    buf_release(&want);
    buf_release(&got);
    buf_release(&text);
}

int main(int argc, char **argv)
{
    struct golden_count c = {.kind = "format"};
    struct err e = {0};
    struct file_map m;
    char path[4096];
    snprintf(path, sizeof path, "%s/format/cases.jsonl", argc > 2 ? argv[2] : ".");
    if (!golden_have(path)) {
        printf("golden/format: skipped: no %s\n", path);
        c.skipped++;
    } else if (file_map(&m, path, &e) < 0) {
        golden_fail(&c, "%s", e.text);
    } else {
        for (const char *p = m.p, *end = m.p + m.n; p < end;) {
            const char *lf = memchr(p, '\n', (size_t)(end - p));
            check_case(&c, (struct str){p, (size_t)((lf ? lf : end) - p)});
            p = lf ? lf + 1 : end;
        }
        file_unmap(&m);
    }
    golden_report(&c);
    return golden_done();
}
