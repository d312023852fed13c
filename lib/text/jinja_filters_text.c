/* jinja_filters_text.c - filters of texts. */
#include "text/jinja_run.h"

#include <string.h>

static struct jj_val change_case(struct jj *j, struct jj_val x, enum jj_case to)
{
    struct jj_val s = jj_str(j, x);
    jj_step(j, s.s->n / 16);
    buf_clear(&j->scratch);
    jj_put_case(&j->scratch, jj_bytes(s), to);
    return jj_as_markup(j, jj_scratch_text(j), s.s->markup);
}

JJ_FUNC(f_upper)
{
    JJ_NO_ARGS("upper");
    return change_case(j, x, CASE_UPPER);
}

JJ_FUNC(f_lower)
{
    JJ_NO_ARGS("lower");
    return change_case(j, x, CASE_LOWER);
}

JJ_FUNC(f_capitalize)
{
    JJ_NO_ARGS("capitalize");
    return change_case(j, x, CASE_CAPITAL);
}

static void put_word(struct buf *b, struct str word)
{
    size_t len = 0;
    if (word.n)
        jj_char(word.p, word.p + word.n, &len);
    jj_put_case(b, (struct str){word.p, len}, CASE_UPPER);
    jj_put_case(b, (struct str){word.p + len, word.n - len}, CASE_LOWER);
}

/* Words begin after blanks and opening brackets, unlike the string method of that name. */
JJ_FUNC(f_title)
{
    JJ_NO_ARGS("title");
    struct jj_val s = jj_str(j, x);
    struct str text = jj_bytes(s);
    buf_clear(&j->scratch);
    size_t start = 0, at = 0;
    while (at <= text.n) {
        size_t len = 1;
        uint32_t c = at < text.n ? jj_char(text.p + at, text.p + text.n, &len) : ' ';
        bool breaks = jj_is_space(c) || (c < 0x80 && c && strchr("-({[<", (int)c));
        if (breaks) {
            put_word(&j->scratch, (struct str){text.p + start, at - start});
            buf_add(&j->scratch, text.p + at, at < text.n ? len : 0);
            start = at + len;
        }
        at += len;
    }
    return jj_as_markup(j, jj_scratch_text(j), s.s->markup);
}

JJ_FUNC(f_trim)
{
    struct jj_val chars;
    JJ_BIND(j, "trim", a, 0, &chars, "chars");
    struct jj_val s = jj_str(j, x);
    struct str set = {0}, text = jj_bytes(s);
    bool all = !jj_given(chars) || chars.t == T_NONE;
    if (!all)
        set = jj_want_str(j, chars, "trim's characters");
    struct str t = jj_strip(text, all ? NULL : &set, true, true);
    if (t.n == text.n)
        return s;
    size_t gone = jj_count_chars(text.p, (size_t)(t.p - text.p)) +
                  jj_count_chars(t.p + t.n, text.n - t.n - (size_t)(t.p - text.p));
    struct jj_val v = jj_text_counted(j, t.p, t.n, s.s->chars - gone);
    return jj_as_markup(j, v, s.s->markup);
}

JJ_FUNC(f_string)
{
    JJ_NO_ARGS("string");
    return jj_str(j, x);
}

JJ_FUNC(f_safe)
{
    JJ_NO_ARGS("safe");
    return jj_as_markup(j, jj_str(j, x), true);
}

static struct jj_val escape(struct jj *j, struct jj_val x, bool again)
{
    struct jj_val s = jj_str(j, x);
    if (s.s->markup && !again)
        return s;
    buf_clear(&j->scratch);
    jj_put_escaped(&j->scratch, jj_bytes(s));
    return jj_as_markup(j, jj_scratch_text(j), true);
}

JJ_FUNC(f_escape)
{
    JJ_NO_ARGS("escape");
    return escape(j, x, false);
}

JJ_FUNC(f_forceescape)
{
    JJ_NO_ARGS("forceescape");
    return escape(j, x, true);
}

JJ_FUNC(f_replace)
{
    struct jj_val arg[3];
    JJ_BIND(j, "replace", a, 2, arg, "old", "new", "count");
    int64_t count = -1;
    if (jj_given(arg[2]) && arg[2].t != T_NONE)
        count = jj_want_int(j, arg[2], "replace's count");
    struct jj_val s = jj_str(j, x), old = jj_str(j, arg[0]), new = jj_str(j, arg[1]);
    return jj_str_replace(j, jj_bytes(s), jj_bytes(old), jj_bytes(new), count);
}

static size_t line_end(struct str s, size_t at, size_t *len)
{
    for (; at < s.n; at += *len) {
        uint32_t c = jj_char(s.p + at, s.p + s.n, len);
        if (!jj_is_line_end(c))
            continue;
        if (c == '\r' && at + 1 < s.n && s.p[at + 1] == '\n')
            *len = 2;
        return at;
    }
    *len = 0;
    return s.n;
}

JJ_FUNC(f_indent)
{
    struct jj_val arg[3];
    JJ_BIND(j, "indent", a, 0, arg, "width", "first", "blank");
    struct str by = {0}, s = jj_want_str(j, x, "what indent works on");
    if (jj_given(arg[0]) && arg[0].t == T_STR) {
        by = jj_bytes(arg[0]);
    } else {
        int64_t width = jj_given(arg[0]) ? jj_want_int(j, arg[0], "indent's width") : 4;
        struct jj_val blanks = jj_binary(j, OP_MUL, jj_cstr(j, " "), jj_int(width));
        by = jj_bytes(blanks);
    }
    bool blank = jj_given_true(j, arg[2]);
    struct buf *b = &j->scratch;
    buf_clear(b);
    if (jj_given_true(j, arg[1]))
        buf_addstr(b, by);
    for (size_t at = 0, len, end; at <= s.n; at = end + len) {
        end = line_end(s, at, &len);
        if (at && (end > at || blank))
            buf_addstr(b, by);
        buf_add(b, s.p + at, end - at);
        jj_step(j, 1);
        jj_check_size(j, b->n);
        if (!len)
            break;
        buf_putc(b, '\n');
    }
    return jj_as_markup(j, jj_scratch_text(j), x.s->markup);
}

JJ_FUNC(f_center)
{
    struct jj_val width;
    JJ_BIND(j, "center", a, 0, &width, "width");
    int64_t w = jj_given(width) ? jj_want_int(j, width, "center's width") : 80;
    struct jj_val s = jj_str(j, x);
    jj_check_size(j, w > 0 ? (size_t)w : 0);
    buf_clear(&j->scratch);
    jj_put_padded(&j->scratch, jj_bytes(s), s.s->chars, w, 'c', STR(" "));
    return jj_as_markup(j, jj_scratch_text(j), s.s->markup);
}

JJ_FUNC(f_truncate)
{
    struct jj_val arg[4];
    JJ_BIND(j, "truncate", a, 0, arg, "length", "killwords", "end", "leeway");
    int64_t length = jj_given(arg[0]) ? jj_want_int(j, arg[0], "truncate's length") : 255;
    struct jj_val end = jj_given(arg[2]) ? jj_str(j, arg[2]) : jj_cstr(j, "...");
    int64_t leeway = jj_given(arg[3]) && arg[3].t != T_NONE
                         ? jj_want_int(j, arg[3], "truncate's leeway")
                         : 5;
    int64_t n = jj_length(j, x);
    if (length < (int64_t)end.s->chars || leeway < 0)
        jj_fail(j, "truncate's length is shorter than its end");
    if (n < 0)
        jj_fail(j, "truncate takes a string, not a %s", jj_type_name(x));
    if (n - leeway <= length)
        return x;
    jj_want_str(j, x, "what truncate works on");
    struct jj_val v = jj_substr(j, x.s, 0, (size_t)length - end.s->chars);
    if (!jj_given_true(j, arg[1])) {
        const char *space = v.s->n ? memrchr(v.s->p, ' ', v.s->n) : NULL;
        if (space)
            v = jj_text_borrow(j, v.s->p, (size_t)(space - v.s->p));
    }
    return jj_add(j, v, end);
}

JJ_FUNC(f_wordcount)
{
    JJ_NO_ARGS("wordcount");
    struct str s = jj_bytes(jj_str(j, x));
    int64_t n = 0;
    bool inside = false;
    for (size_t i = 0, len; i < s.n; i += len) {
        bool word = jj_is_word(jj_char(s.p + i, s.p + s.n, &len));
        n += word && !inside;
        inside = word;
    }
    return jj_int(n);
}

JJ_FUNC(f_striptags)
{
    JJ_NO_ARGS("striptags");
    struct str s = jj_bytes(jj_str(j, x));
    buf_clear(&j->scratch);
    bool gap = false;
    for (size_t i = 0, len; i < s.n; i += len) {
        uint32_t c = jj_char(s.p + i, s.p + s.n, &len);
        const char *close = c == '<' ? memchr(s.p + i, '>', s.n - i) : NULL;
        if (close) {
            len = (size_t)(close + 1 - (s.p + i));
        } else if (jj_is_space(c)) {
            gap = j->scratch.n > 0;
        } else {
            if (gap)
                buf_putc(&j->scratch, ' ');
            gap = false;
            buf_add(&j->scratch, s.p + i, len);
        }
    }
    return jj_scratch_text(j);
}

static void put_url(struct buf *b, struct str s, bool query)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (jj_is_alpha(c & 0x80 ? 0 : c) || jj_is_digit(c & 0x80 ? 0 : c) ||
            (c && strchr("_.-~", c)) || (c == '/' && !query))
            buf_putc(b, (char)c);
        else if (c == ' ' && query)
            buf_putc(b, '+');
        else
            buf_printf(b, "%%%02X", c);
    }
}

JJ_FUNC(f_urlencode)
{
    JJ_NO_ARGS("urlencode");
    struct jj_iter *it = x.t == T_STR ? NULL : jj_iter_try(j, x);
    struct buf *b;
    jj_capture_begin(j);
    b = j->out;
    if (!it)
        put_url(b, jj_bytes(jj_str(j, x)), false);
    if (x.t == T_DICT)
        it->kind = ITER_ITEMS;
    for (struct jj_val v; it && jj_next(j, it, &v);) {
        struct jj_val pair = jj_to_list(j, v);
        if (pair.seq->n != 2)
            jj_fail(j, "urlencode takes pairs");
        if (b->n)
            buf_putc(b, '&');
        put_url(b, jj_bytes(jj_str(j, pair.seq->v[0])), true);
        buf_putc(b, '=');
        put_url(b, jj_bytes(jj_str(j, pair.seq->v[1])), true);
    }
    return jj_capture_end(j);
}

JJ_FUNC(f_xmlattr)
{
    struct jj_val space;
    JJ_BIND(j, "xmlattr", a, 0, &space, "autospace");
    jj_check_defined(j, x);
    if (x.t != T_DICT)
        jj_fail(j, "xmlattr takes a dict, not a %s", jj_type_name(x));
    jj_capture_begin(j);
    bool first = true;
    for (size_t i = 0; i < x.d->n; i++) {
        const struct jj_entry *e = &x.d->e[i];
        if (e->value.t == T_NONE || e->value.t == T_UNDEF)
            continue;
        struct str key = jj_want_str(j, e->key, "an attribute's name");
        for (size_t k = 0; k < key.n; k++)
            if (key.p[k] == 0 || strchr(" \t\n\r\f\v/>=", key.p[k]))
                jj_fail(j, "an attribute's name holds a character that it may not");
        if (!first || !jj_given(space) || jj_true(j, space))
            buf_putc(j->out, ' ');
        first = false;
        buf_addstr(j->out, jj_bytes(escape(j, e->key, false)));
        buf_puts(j->out, "=\"");
        buf_addstr(j->out, jj_bytes(escape(j, e->value, false)));
        buf_putc(j->out, '"');
    }
    return jj_capture_end(j);
}

JJ_FUNC(f_format)
{
    struct jj_val s = jj_str(j, x), args;
    if (a->n && a->n_kw)
        jj_fail(j, "format takes values by position or by name, not both");
    if (a->n_kw) {
        args = jj_dict_val(jj_dict_new(j));
        for (size_t i = 0; i < a->n_kw; i++)
            jj_dict_set(j, args.d, jj_text_borrow(j, a->kw[i].name.p, a->kw[i].name.n),
                        a->kw[i].v);
    } else {
        args = jj_seq(j, T_TUPLE, a->n);
        for (size_t i = 0; i < a->n; i++)
            args.seq->v[i] = a->v[i];
    }
    return jj_binary(j, OP_MOD, s, args);
}

const struct jj_func *jj_find_text_filter(struct str name)
{
    static const struct jj_func table[] = {
        {"capitalize", f_capitalize},
        {"center", f_center},
        {"e", f_escape},
        {"escape", f_escape},
        {"forceescape", f_forceescape},
        {"format", f_format},
        {"indent", f_indent},
        {"lower", f_lower},
        {"replace", f_replace},
        {"safe", f_safe},
        {"string", f_string},
        {"striptags", f_striptags},
        {"title", f_title},
        {"trim", f_trim},
        {"truncate", f_truncate},
        {"upper", f_upper},
        {"urlencode", f_urlencode},
        {"wordcount", f_wordcount},
        {"xmlattr", f_xmlattr},
    };
    return jj_pick(table, JJ_COUNT(table), name);
}
