/* args.c - the option table: parsing, help, nearest names. */
#include "base/args.h"

#include "base/buf.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool parse_int(const char *s, int64_t *out)
{
    const char *digits = *s == '-' ? s + 1 : s;
    if (!*digits || strspn(digits, "0123456789") != strlen(digits))
        return false;
    errno = 0;
    long long v = strtoll(s, NULL, 10);
    if (errno)
        return false;
    *out = v;
    return true;
}

bool parse_real(const char *s, double *out)
{
    char *end;
    if (!*s || !strchr("+-.0123456789", *s) || strpbrk(s, "xX"))
        return false;
    double v = strtod(s, &end);
    if (*end || !isfinite(v))
        return false;
    *out = v;
    return true;
}

bool parse_size(const char *s, int64_t *out)
{
    size_t n = strlen(s);
    if (!n || n > 20)
        return false;
    char digits[24];
    memcpy(digits, s, n + 1);
    int shift = 0;
    const char *unit = strchr("KMGkmg", s[n - 1]);
    if (unit) {
        shift = strchr("Kk", *unit) ? 10 : strchr("Mm", *unit) ? 20 : 30;
        digits[n - 1] = 0;
    }
    int64_t v;
    return parse_int(digits, &v) && v >= 0 &&
           !__builtin_mul_overflow(v, INT64_C(1) << shift, out);
}

/* ---- help ----------------------------------------------------------------- */

static void put_default(struct buf *b, const struct arg *a)
{
    if (a->fallback) {
        buf_printf(b, " [%s]", a->fallback);
        return;
    }
    switch (a->kind) {
    case ARG_STRING:
        if (*(const char **)a->to)
            buf_printf(b, " [%s]", *(const char **)a->to);
        break;
    case ARG_INT:
    case ARG_SIZE: {
        int64_t v = *(int64_t *)a->to;
        if (a->kind == ARG_SIZE && v && v % (1 << 20) == 0)
            buf_printf(b, " [%lldM]", (long long)(v >> 20));
        else
            buf_printf(b, " [%lld]", (long long)v);
        break;
    }
    case ARG_REAL: buf_printf(b, " [%g]", *(double *)a->to); break;
    case ARG_CHOICE: {
        const char *p = a->metavar;
        for (int i = *(int *)a->to; i > 0; i--) {
            p += strcspn(p, "|");
            p += *p == '|';
        }
        buf_printf(b, " [%.*s]", (int)strcspn(p, "|"), p);
        break;
    }
    default: break;
    }
}

static void print_option(const struct arg *a)
{
    struct buf b = {0};
    buf_puts(&b, "  ");
    if (a->letter)
        buf_printf(&b, "-%c, ", a->letter);
    else
        buf_puts(&b, "    ");
    buf_printf(&b, "--%s", a->name);
    if (a->kind != ARG_FLAG)
        buf_printf(&b, " %s", a->metavar);
    if (b.n > 28)
        buf_puts(&b, "\n                              ");
    else
        while (b.n < 30)
            buf_putc(&b, ' ');
    buf_puts(&b, a->help);
    put_default(&b, a);
    puts(b.p);
    buf_release(&b);
}

static _Noreturn void print_help(const struct args *a)
{
    printf("usage: %s %s\n%s\n\n", tool_name, a->usage, a->about);
    for (size_t i = 0; i < a->n; i++) {
        if (a->table[i].kind == ARG_GROUP)
            printf("%s%s:\n", i ? "\n" : "", a->table[i].help);
        else
            print_option(&a->table[i]);
    }
    puts("  -h, --help                  show this text\n"
         "  -V, --version               show the version");
    if (fflush(stdout) || ferror(stdout))
        die(EXIT_IO, "write <stdout>:");
    exit(EXIT_OK);
}

static _Noreturn void print_version(void)
{
    printf("%s %s\n", tool_name, VERSION);
    if (fflush(stdout) || ferror(stdout))
        die(EXIT_IO, "write <stdout>:");
    exit(EXIT_OK);
}

/* ---- values --------------------------------------------------------------- */

static _Noreturn void bad_value(const struct arg *a, const char *value, const char *want)
{
    die(EXIT_USAGE, "--%s: %s, not '%s'; see %s --help", a->name, want, value, tool_name);
}

static void check_range(const struct arg *a, double v, const char *value)
{
    if (a->min == 0 && a->max == 0) {
        if (v < 0)
            bad_value(a, value, "must not be negative");
    } else if (v < a->min || v > a->max) {
        char want[96];
        snprintf(want, sizeof want, "must be %.15g to %.15g", a->min, a->max);
        bad_value(a, value, want);
    }
}

static void set_choice(const struct arg *a, const char *value)
{
    size_t n = strlen(value);
    const char *p = a->metavar;
    for (int i = 0;; i++) {
        size_t len = strcspn(p, "|");
        if (len == n && memcmp(p, value, n) == 0) {
            *(int *)a->to = i;
            return;
        }
        if (!p[len])
            break;
        p += len + 1;
    }
    char want[160];
    snprintf(want, sizeof want, "must be one of %s", a->metavar);
    bad_value(a, value, want);
}

static void set_value(const struct arg *a, const char *value)
{
    if (a->given)
        *a->given = true;
    switch (a->kind) {
    case ARG_FLAG: *(bool *)a->to = true; break;
    case ARG_STRING: *(const char **)a->to = value; break;
    case ARG_INT: {
        int64_t v;
        if (!parse_int(value, &v))
            bad_value(a, value, "must be a whole number");
        check_range(a, (double)v, value);
        *(int64_t *)a->to = v;
        break;
    }
    case ARG_SIZE: {
        int64_t v;
        if (!parse_size(value, &v))
            bad_value(a, value, "must be a size such as 4096, 64K or 2G");
        check_range(a, (double)v, value);
        *(int64_t *)a->to = v;
        break;
    }
    case ARG_REAL: {
        double v;
        if (!parse_real(value, &v))
            bad_value(a, value, "must be a number");
        check_range(a, v, value);
        *(double *)a->to = v;
        break;
    }
    case ARG_CHOICE: set_choice(a, value); break;
    case ARG_LIST: {
        struct arg_list *l = a->to;
        GROW(l->items, l->cap, l->n + 1);
        l->items[l->n++] = value;
        break;
    }
    case ARG_GROUP: break;
    }
}

/* ---- names ---------------------------------------------------------------- */

/* Levenshtein distance, words cut at 31 bytes. */
static int distance(const char *a, const char *b)
{
    int row[32], la = (int)strnlen(a, 31), lb = (int)strnlen(b, 31);
    for (int j = 0; j <= lb; j++)
        row[j] = j;
    for (int i = 1; i <= la; i++) {
        int diag = row[0];
        row[0] = i;
        for (int j = 1; j <= lb; j++) {
            int best = diag + (a[i - 1] != b[j - 1]);
            diag = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[lb];
}

static const struct arg *find_long(const struct args *a, const char *name, size_t n)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->table[i].kind != ARG_GROUP && strlen(a->table[i].name) == n &&
            memcmp(a->table[i].name, name, n) == 0)
            return &a->table[i];
    return NULL;
}

static _Noreturn void unknown_long(const struct args *a, const char *name)
{
    const char *near = NULL;
    size_t n = strlen(name);
    int best = n < 4 ? 2 : 3; /* of a short word, two letters changed leave nothing */
    for (size_t i = 0; i < a->n; i++) {
        if (a->table[i].kind == ARG_GROUP)
            continue;
        bool begins = n && !strncmp(name, a->table[i].name, n);
        int d = begins ? 0 : distance(name, a->table[i].name);
        if (d < best) {
            best = d;
            near = a->table[i].name;
        }
    }
    if (near)
        die(EXIT_USAGE, "unknown option --%s; did you mean --%s?", name, near);
    die(EXIT_USAGE, "unknown option --%s; see %s --help", name, tool_name);
}

static const struct arg *find_letter(const struct args *a, char c)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->table[i].kind != ARG_GROUP && a->table[i].letter == c)
            return &a->table[i];
    die(EXIT_USAGE, "unknown option -%c; see %s --help", c, tool_name);
}

/* "--name", "--name=value", "--name value"; returns how many words of argv it took. */
static int take_long(const struct args *a, char **argv)
{
    const char *name = argv[0] + 2;
    size_t n = strcspn(name, "=");
    if (!strcmp(name, "help"))
        print_help(a);
    if (!strcmp(name, "version"))
        print_version();
    const struct arg *o = find_long(a, name, n);
    if (!o) {
        char word[64];
        snprintf(word, sizeof word, "%.*s", (int)n, name);
        unknown_long(a, word);
    }
    if (o->kind == ARG_FLAG) {
        if (name[n])
            die(EXIT_USAGE, "--%s takes no value", o->name);
        set_value(o, "");
        return 1;
    }
    if (name[n]) {
        set_value(o, name + n + 1);
        return 1;
    }
    if (!argv[1])
        die(EXIT_USAGE, "--%s needs a value %s", o->name, o->metavar);
    set_value(o, argv[1]);
    return 2;
}

/* "-n4", "-n 4", "-qv"; returns how many words of argv it took. */
static int take_letters(const struct args *a, char **argv)
{
    for (const char *p = argv[0] + 1; *p; p++) {
        if (*p == 'h')
            print_help(a);
        if (*p == 'V')
            print_version();
        const struct arg *o = find_letter(a, *p);
        if (o->kind == ARG_FLAG) {
            set_value(o, "");
            continue;
        }
        if (p[1]) {
            set_value(o, p + 1);
            return 1;
        }
        if (!argv[1])
            die(EXIT_USAGE, "-%c needs a value %s", *p, o->metavar);
        set_value(o, argv[1]);
        return 2;
    }
    return 1;
}

/* A descriptor 0, 1 or 2 that the caller closed would be given to the next file that is opened,
 * and messages would go into it; so each is taken, the wrong way round, so that using it fails
 * as it should. */
static void take_closed_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_RDONLY : O_WRONLY) != fd)
            exit(EXIT_OS);
}

char **args_parse(const struct args *a, int argc, char **argv)
{
    char **files = argv + 1;
    take_closed_descriptors();
    int n = 0;
    bool options = true;
    for (int i = 1; i < argc;) {
        if (options && !strcmp(argv[i], "--")) {
            options = false;
            i++;
        } else if (options && !strncmp(argv[i], "--", 2)) {
            i += take_long(a, argv + i);
        } else if (options && argv[i][0] == '-' && argv[i][1]) {
            i += take_letters(a, argv + i);
        } else {
            files[n++] = argv[i++];
        }
    }
    files[n] = NULL;
    if (!n && argc == 1 && a->help_on_tty && isatty(0))
        print_help(a);
    if (n < a->min_files)
        die(EXIT_USAGE, "an operand is missing; usage: %s %s", tool_name, a->usage);
    if (a->max_files >= 0 && n > a->max_files)
        die(EXIT_USAGE, "surplus operand '%s'; usage: %s %s", files[a->max_files], tool_name,
            a->usage);
    return files;
}
