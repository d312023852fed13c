/* base.c - tests of lib/base: options, messages, numbers, buffers, files, threads. */
#include "unit.h"

#include "base/args.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/num.h"
#include "base/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- what ends the process: in a child, its words kept ------------------------ */

static char said[8192]; /* stdout and stderr of the last child */

/* Runs fn(arg) in a child; returns its exit status, 255 when it came back. */
static int in_child(void (*fn)(void *), void *arg)
{
    int p[2], status;
    fflush(NULL);
    if (pipe(p) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(p[1], 1);
        dup2(p[1], 2);
        close(p[0]);
        close(p[1]);
        fn(arg);
        fflush(NULL);
        _exit(255);
    }
    close(p[1]);
    size_t n = 0;
    for (ssize_t k; n < sizeof said - 1 && (k = read(p[0], said + n, sizeof said - 1 - n)) > 0;)
        n += (size_t)k;
    said[n] = 0;
    close(p[0]);
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- options -------------------------------------------------------------- */

struct values {
    bool flag, quiet, given;
    const char *name;
    int64_t count, size;
    double real;
    int choice;
    struct arg_list list;
};

static const struct values start = {.count = 4, .size = 16 << 20, .real = 0.5, .choice = 1};
static struct values v;
static char **operands;
static int min_files, max_files = -1;

static void parse(void *words)
{
    const struct arg table[] = {
        {.kind = ARG_GROUP, .help = "first"},
        {.kind = ARG_FLAG, .letter = 'f', .name = "flag", .to = &v.flag, .help = "a flag"},
        {.kind = ARG_FLAG, .letter = 'q', .name = "quiet", .to = &v.quiet, .help = "another"},
        {.kind = ARG_STRING, .name = "name", .to = &v.name, .metavar = "S", .help = "a string"},
        {.kind = ARG_INT,
         .letter = 'n',
         .name = "count",
         .to = &v.count,
         .metavar = "N",
         .help = "a number",
         .min = 1,
         .max = 100,
         .given = &v.given},
        {.kind = ARG_SIZE, .name = "size", .to = &v.size, .metavar = "SIZE", .help = "bytes"},
        {.kind = ARG_REAL,
         .name = "real",
         .to = &v.real,
         .metavar = "X",
         .help = "a real",
         .min = -1,
         .max = 1},
        {.kind = ARG_GROUP, .help = "second"},
        {.kind = ARG_CHOICE,
         .name = "deal",
         .to = &v.choice,
         .metavar = "round-robin|contiguous|size",
         .help = "how"},
        {.kind = ARG_LIST, .name = "set", .to = &v.list, .metavar = "K=V", .help = "a list"},
    };
    const struct args a = {"[-n N] [FILE...]", "Tests.",  table, ARGS_COUNT(table),
                           min_files,          max_files, false};
    char **argv = words;
    int argc = 0;
    while (argv[argc])
        argc++;
    v = start;
    operands = args_parse(&a, argc, argv);
}

#define PARSE(...) parse((char *[]){(char[]){"tool"}, __VA_ARGS__, NULL})
#define REFUSED(words, ...)                                                            \
    (in_child(parse, (char *[]){(char[]){"tool"}, __VA_ARGS__, NULL}) == EXIT_USAGE && \
     strstr(said, (words)) && strchr(said, '\n') == said + strlen(said) - 1)
#define W(s) ((char[]){s})

static void test_args_values(void)
{
    PARSE(W("-fqn7"), W("--name"), W("-x"), W("--size=64K"), W("--real"), W("-0.25"));
    CHECK(v.flag && v.quiet && v.count == 7 && v.given);
    CHECK(!strcmp(v.name, "-x") && v.size == 65536 && v.real == -0.25);
    CHECK(!operands[0]);

    PARSE(W("a"), W("-n"), W("100"), W("-"), W("--deal"), W("size"), W("--"), W("-f"));
    CHECK(v.count == 100 && v.choice == 2 && !v.flag);
    CHECK(!strcmp(operands[0], "a") && !strcmp(operands[1], "-") &&
          !strcmp(operands[2], "-f") && !operands[3]);

    PARSE(W("--set=a=1"), W("--set"), W("b=2"), W("--name="));
    CHECK(v.list.n == 2 && !strcmp(v.list.items[0], "a=1") && !strcmp(v.list.items[1], "b=2"));
    CHECK(!*v.name && !v.given && v.count == 4 && v.choice == 1);
    free(v.list.items);
}

static void test_args_refused(void)
{
    CHECK(REFUSED("unknown option --cuont; did you mean --count?", W("--cuont=3")));
    CHECK(REFUSED("did you mean --quiet?", W("--qui")));
    CHECK(REFUSED("unknown option --elephant; see tool --help", W("--elephant")));
    CHECK(REFUSED("unknown option -x", W("-x")));
    CHECK(REFUSED("unknown option -\?", W("-\xe4")));
    CHECK(REFUSED("--flag takes no value", W("--flag=1")));
    CHECK(REFUSED("--name needs a value S", W("--name")));
    CHECK(REFUSED("-n needs a value N", W("-fn")));
    CHECK(REFUSED("--count: must be 1 to 100, not '0'", W("-n"), W("0")));
    CHECK(REFUSED("--count: must be 1 to 100, not '101'", W("-n101")));
    CHECK(REFUSED("--count: must be a whole number, not '3.0'", W("-n"), W("3.0")));
    CHECK(REFUSED("must be a whole number", W("-n"), W("99999999999999999999")));
    CHECK(REFUSED("--size: must be a size such as", W("--size"), W("-1")));
    CHECK(REFUSED("must be a number, not 'nan'", W("--real"), W("nan")));
    CHECK(REFUSED("must be -1 to 1, not '1.5'", W("--real=1.5")));
    CHECK(REFUSED("must be one of round-robin|contiguous|size, not 'round'", W("--deal"),
                  W("round")));
    CHECK(REFUSED("'a\?b'", W("-n"), W("a\nb")));
    min_files = 1;
    CHECK(REFUSED("an operand is missing", W("-f")));
    min_files = 0;
    max_files = 1;
    CHECK(REFUSED("surplus operand 'b'", W("a"), W("b")));
    max_files = -1;
}

static void test_args_help(void)
{
    CHECK(in_child(parse, (char *[]){W("tool"), W("--help"), NULL}) == 0);
    CHECK(strstr(said, "usage: tool [-n N] [FILE...]\nTests.\n\nfirst:\n  -f, --flag "));
    CHECK(strstr(said, "\n\nsecond:\n      --deal round-robin|contiguous|size\n"));
    CHECK(strstr(said, "how [contiguous]\n"));
    CHECK(strstr(said, "a number [4]\n") && strstr(said, "bytes [16M]\n"));
    CHECK(strstr(said, "a real [0.5]\n") && strstr(said, "a string\n"));
    CHECK(in_child(parse, (char *[]){W("tool"), W("-V"), NULL}) == 0);
    CHECK(!strcmp(said, "tool " VERSION "\n"));
}

static void test_numbers_in(void)
{
    int64_t i = 5;
    double x = 5;
    CHECK(parse_int("-9223372036854775808", &i) && i == INT64_MIN);
    CHECK(parse_int("9223372036854775807", &i) && i == INT64_MAX);
    CHECK(!parse_int("9223372036854775808", &i) && i == INT64_MAX);
    CHECK(!parse_int("", &i) && !parse_int("-", &i) && !parse_int(" 1", &i));
    CHECK(!parse_int("1 ", &i) && !parse_int("0x10", &i) && !parse_int("+1", &i));
    CHECK(parse_real("1e-3", &x) && x == 1e-3);
    CHECK(parse_real(".5", &x) && x == 0.5);
    CHECK(!parse_real("1e999", &x) && !parse_real("inf", &x) && !parse_real("-nan", &x));
    CHECK(!parse_real("0x1p3", &x) && !parse_real("1.5 ", &x) && !parse_real("", &x));
    CHECK(!parse_real("+", &x) && !parse_real("e5", &x) && x == 0.5);
    CHECK(parse_size("0", &i) && i == 0);
    CHECK(parse_size("2G", &i) && i == INT64_C(2) << 30);
    CHECK(parse_size("3m", &i) && i == 3 << 20);
    CHECK(parse_size("8589934591G", &i) && i == INT64_C(8589934591) << 30);
    CHECK(!parse_size("8589934592G", &i)); /* 2^63 */
    CHECK(!parse_size("K", &i) && !parse_size("1KB", &i) && !parse_size("-1", &i));
    CHECK(!parse_size("1.5G", &i) && !parse_size("", &i));
}

/* ---- messages ------------------------------------------------------------- */

static void test_errors(void)
{
    struct err e = {0};
    errno = ENOENT;
    CHECK(err_set(&e, EXIT_NOINPUT, "open %s:", "f") == -1 && e.status == EXIT_NOINPUT);
    CHECK(!strcmp(e.text, "open f: No such file or directory"));
    CHECK(err_prefix(&e, "line %d", 3) == -1 && e.status == EXIT_NOINPUT);
    CHECK(!strcmp(e.text, "line 3: open f: No such file or directory"));
    err_set(&e, EXIT_DATA, "%s", "a\nb\x1b[m\x7f \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
    CHECK(!strcmp(e.text, "a?b?[m? \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"));
    /* lone, overlong, surrogate, beyond U+10FFFF, C1 control, cut */
    err_set(&e, EXIT_DATA, "%s",
            "\x80 \xc0\xaf \xed\xa0\x80 \xf4\x90\x80\x80 \xc2\x9b \xe2\x82");
    CHECK(!strcmp(e.text, "? ?? ??? ???? ?? ??"));
    /* 300 characters of 2 bytes do not fit: no half of one is left */
    char wide[601];
    for (int i = 0; i < 600; i += 2)
        memcpy(wide + i, "\xc3\xa9", 3);
    err_set(&e, EXIT_DATA, "-%s", wide);
    size_t n = strlen(e.text);
    CHECK(n == sizeof e.text - 1 && (unsigned char)e.text[n - 1] == 0xa9);
    err_set(&e, EXIT_DATA, "%s", wide);
    CHECK(strlen(e.text) == sizeof e.text - 1 && e.text[sizeof e.text - 2] == '?');
    err_set(&e, EXIT_DATA, "<%s>", e.text); /* its own text as an argument */
    CHECK(e.text[0] == '<' && (unsigned char)e.text[1] == 0xc3);
    CHECK(err_set(NULL, EXIT_DATA, "x") == -1);
}

static void die_of_it(void *arg)
{
    (void)arg;
    errno = ENOSPC;
    die(EXIT_IO, "write %s:", "out\n");
}

static void ask_too_much(void *arg)
{
    (void)arg;
    free(xmalloc_n(SIZE_MAX / 2, 3));
}

static void test_ends(void)
{
    CHECK(in_child(die_of_it, NULL) == EXIT_IO);
    CHECK(!strcmp(said, "tool: write out?: No space left on device\n"));
    CHECK(in_child(ask_too_much, NULL) == EXIT_OS && strstr(said, "out of memory"));
}

/* ---- numbers out ---------------------------------------------------------- */

static uint64_t random_state = 88172645463325252u;

static uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

static bool is_double(double x, const char *text)
{
    struct buf b = {0};
    num_put_double(&b, x);
    bool same = !strcmp(b.p, text);
    buf_release(&b);
    return same;
}

static bool is_float(float x, const char *text)
{
    struct buf b = {0};
    num_put_float(&b, x);
    bool same = !strcmp(b.p, text);
    buf_release(&b);
    return same;
}

static void test_numbers_out(void)
{
    CHECK(is_double(0.1, "0.1") && is_double(1.0 / 3, "0.3333333333333333"));
    CHECK(is_double(0.1 + 0.2, "0.30000000000000004") && is_double(-0.0, "-0"));
    CHECK(is_double(DBL_MAX, "1.7976931348623157e+308") && is_double(5e-324, "5e-324"));
    CHECK(is_double(NAN, "null") && is_double(-INFINITY, "null") && is_double(100, "1e+02"));
    CHECK(is_float(0.1f, "0.1") && is_float(16777216.0f, "16777216"));
    CHECK(is_float(FLT_MAX, "3.4028235e+38") && is_float(INFINITY, "null"));
    struct buf b = {0};
    int wrong = 0;
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = random_bits();
        double x;
        float f;
        memcpy(&x, &bits, sizeof x);
        memcpy(&f, &bits, sizeof f);
        buf_clear(&b);
        num_put_double(&b, x);
        wrong += isfinite(x) && strtod(b.p, NULL) != x;
        buf_clear(&b);
        num_put_float(&b, f);
        wrong += isfinite(f) && strtof(b.p, NULL) != f;
    }
    CHECK_MSG(wrong == 0, "%d of 40000 do not come back", wrong);
    buf_release(&b);
}

/* ---- buffers -------------------------------------------------------------- */

static void test_buf(void)
{
    struct buf b = {0};
    buf_printf(&b, "%s", "");
    CHECK(b.n == 0 && b.p && !b.p[0]);
    buf_add(&b, "a\0b", 3);
    buf_putc(&b, 'c');
    buf_add(&b, NULL, 0);
    CHECK(b.n == 4 && !memcmp(b.p, "a\0bc", 5));
    buf_printf(&b, "%05d", 42);
    CHECK(b.n == 9 && !strcmp(b.p + 4, "00042"));
    buf_clear(&b);
    CHECK(b.n == 0 && !b.p[0]);
    for (int i = 0; i < 100000; i++)
        buf_puts(&b, "0123456789");
    CHECK(b.n == 1000000 && b.p[999999] == '9' && !b.p[1000000]);
    buf_clear(&b);
    static const uint32_t points[] = {0x24, 0xa2, 0x20ac, 0x10348};
    for (int i = 0; i < 4; i++)
        buf_put_utf8(&b, points[i]);
    CHECK(!strcmp(b.p, "\x24\xc2\xa2\xe2\x82\xac\xf0\x90\x8d\x88"));
    CHECK(str_is(buf_str(&b), b.p) && !str_eq(STR("a"), STR("ab")) && str_eq(STR(""), STR("")));
    buf_release(&b);
    CHECK(!b.p && !b.n && !b.cap);
}

static void test_hash(void)
{
    CHECK(hash_bytes(HASH_SEED, "ab", 2) != hash_bytes(HASH_SEED, "ba", 2));
    CHECK(hash_bytes(HASH_SEED, "a", 1) != hash_bytes(HASH_SEED, "a\0", 2));
    CHECK(hash_bytes(1, "a", 1) != hash_bytes(2, "a", 1));
}

/* ---- files ---------------------------------------------------------------- */

static bool holds(const char *path, const char *text)
{
    struct buf b = {0};
    struct err e = {0};
    bool same = file_read(&b, path, 1000, &e) == 0 && str_is(buf_str(&b), text);
    buf_release(&b);
    return same;
}

static void test_files(void)
{
    char dir[] = "/tmp/millrace-base-XXXXXX";
    struct err e = {0};
    struct file_map m;
    struct buf b = {0};
    if (!mkdtemp(dir) || chdir(dir) < 0) {
        CHECK(!"a folder for the test");
        return;
    }
    CHECK(file_write_atomic("f", STR("one"), &e) == 0 && holds("f", "one"));
    CHECK(file_write_atomic("./f", STR("two\n"), &e) == 0 && holds("f", "two\n"));
    CHECK(access("f.part", F_OK) < 0);
    CHECK(file_write_atomic("none/f", STR("x"), &e) < 0 && e.status == EXIT_IO);
    CHECK(mkdir("d", 0777) == 0 && file_write_atomic("d", STR("x"), &e) < 0);
    CHECK(access("d.part", F_OK) < 0);
    CHECK(symlink("f", "g.part") == 0 && file_write_atomic("g", STR("x"), &e) < 0);
    CHECK(holds("f", "two\n")); /* a link laid in the way is not followed */
    CHECK(file_write_atomic("/dev/null", STR("x"), &e) == 0);
    CHECK(file_write_atomic("/dev/full", STR("x"), &e) < 0 && e.status == EXIT_IO);

    CHECK(file_map(&m, "f", &e) == 0 && m.n == 4 && !memcmp(m.p, "two\n", 4));
    file_unmap(&m);
    CHECK(file_write_atomic("empty", STR(""), &e) == 0 && file_map(&m, "empty", &e) == 0);
    CHECK(m.n == 0 && m.p);
    file_unmap(&m);
    CHECK(file_map(&m, "nope", &e) < 0 && e.status == EXIT_NOINPUT);
    CHECK(file_map(&m, ".", &e) < 0 && e.status == EXIT_NOINPUT);
    CHECK(file_read(&b, "f", 3, &e) < 0 && e.status == EXIT_CONFIG);
    CHECK(file_read(&b, "f", 4, &e) == 0 && b.n == 4);
    CHECK(file_read(&b, ".", 9, &e) < 0 && e.status == EXIT_NOINPUT);
    CHECK(file_open_input("nope", &e) < 0 && e.status == EXIT_NOINPUT);
    CHECK(file_open_input(".", &e) < 0 && strstr(e.text, "is a directory"));
    CHECK(file_open_input("-", &e) == 0 && !strcmp(file_label("-"), "<stdin>"));
    buf_release(&b);
    CHECK(unlink("f") == 0 && unlink("empty") == 0 && unlink("g.part") == 0 &&
          rmdir("d") == 0 && chdir("/") == 0 && rmdir(dir) == 0);
}

static void test_out(void)
{
    struct err e = {0};
    struct out o;
    char name[] = "/tmp/millrace-out-XXXXXX";
    int fd = mkstemp(name);
    struct buf big = {0}, back = {0};
    for (int i = 0; i < 20000; i++)
        buf_puts(&big, "0123456789");
    out_open(&o, fd, name);
    CHECK(out_write(&o, "a", 1, &e) == 0 && out_write(&o, big.p, big.n, &e) == 0);
    CHECK(out_write(&o, "z", 1, &e) == 0 && out_close(&o, &e) == 0);
    CHECK(file_read(&back, name, 1 << 20, &e) == 0 && back.n == big.n + 2);
    CHECK(back.p[0] == 'a' && !memcmp(back.p + 1, big.p, big.n) && back.p[back.n - 1] == 'z');
    unlink(name);
    out_open(&o, open("/dev/full", O_WRONLY), "<stdout>");
    CHECK(out_write(&o, "a", 1, &e) == 0);
    CHECK(out_close(&o, &e) < 0 && e.status == EXIT_IO);
    CHECK(!strcmp(e.text, "write <stdout>: No space left on device"));
    buf_release(&big);
    buf_release(&back);
}

/* ---- threads -------------------------------------------------------------- */

struct work {
    atomic_int done[1000];
};

static void piece(void *arg, int i)
{
    atomic_fetch_add(&((struct work *)arg)->done[i], 1);
}

static void test_pool(void)
{
    static const int sizes[] = {0, 1, 2, 7, 1000};
    for (int threads = 1; threads <= 5; threads += 2) {
        struct pool *p = pool_new(threads);
        CHECK(pool_threads(p) == threads);
        int wrong = 0;
        for (int round = 0; round < 200; round++) {
            struct work w = {0};
            int n = sizes[round % 5];
            pool_run(p, piece, &w, n);
            for (int i = 0; i < 1000; i++)
                wrong += atomic_load(&w.done[i]) != (i < n);
        }
        CHECK_MSG(wrong == 0, "%d pieces with %d threads", wrong, threads);
        pool_free(p);
    }
}

int main(void)
{
    tool_name = "tool";
    test_args_values();
    test_args_refused();
    test_args_help();
    test_numbers_in();
    test_errors();
    test_ends();
    test_numbers_out();
    test_buf();
    test_hash();
    test_files();
    test_out();
    test_pool();
    return unit_done("base");
}
