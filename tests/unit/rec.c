/* rec.c - reading lines whatever they hold, appending, taking out, error records. */
#include "rec/rec.h"

#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

/* ---- input ---------------------------------------------------------------- */

/* A pipe that holds s and has ended. */
static int pipe_of(struct str s)
{
    int fd[2];
    if (pipe(fd) < 0 || write(fd[1], s.p, s.n) != (ssize_t)s.n)
        abort();
    close(fd[1]);
    return fd[0];
}

/* A file that holds s, at its beginning. */
static int file_of(struct str s)
{
    char path[] = "/tmp/rec-unit-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, s.p, s.n) != (ssize_t)s.n || lseek(fd, 0, SEEK_SET))
        abort();
    unlink(path);
    return fd;
}

/* Reads all, and prints each record as NUMBER@OFFSET:LINE or NUMBER@OFFSET!FAULT:LINE, with '|'
 * behind each. */
static const char *told(struct rec_reader *r, struct buf *b)
{
    struct rec rec = {0};
    struct err e;
    int k;
    buf_clear(b);
    while ((k = rec_read(r, &rec, &e)) > 0) {
        buf_printf(b, "%d@%d%s%s:", (int)rec.number, (int)rec.offset, rec.fault ? "!" : "",
                   rec.fault ? rec.fault : "");
        buf_addstr(b, rec.line);
        buf_putc(b, '|');
    }
    if (k < 0)
        buf_printf(b, "error %d", e.status);
    buf_putc(b, '.');
    rec_release(&rec);
    return b->p;
}

static bool reads(struct str in, size_t max_record, bool arrays, const char *want)
{
    struct buf b = {0};
    int fd = file_of(in);
    struct rec_reader *r = rec_reader_new(fd, "f", max_record);
    if (arrays)
        rec_reader_arrays(r);
    bool same = !strcmp(told(r, &b), want);
    if (!same)
        fprintf(stderr, "got  %s\nwant %s\n", b.p, want);
    rec_reader_free(r);
    buf_release(&b);
    close(fd);
    return same;
}

#define READS(in, want) CHECK(reads(STR(in), 64, false, want))
#define READS_ARRAY(in, want) CHECK(reads(STR(in), 24, true, want))

static void test_lines(void)
{
    READS("", ".");
    READS("\n \n\t\r\n", ".");
    READS("{}\n{\"a\":1}\n", "1@0:{}|2@3:{\"a\":1}|.");
    READS("{}\r\n{}", "1@0:{}|2@4:{}|.");
    READS("{}\n\n  \n{}\n", "1@0:{}|4@7:{}|.");
    READS("\xef\xbb\xbf{}\n\xef\xbb\xbf{}\n", "1@3:{}|2@6!bad_json:\xef\xbb\xbf{}|.");
    READS("\xef\xbb\xbf\n{}", "2@4:{}|.");
    READS(" {} \r\n", "1@0: {} |.");
    READS("{}\r\r\n", "1@0:{}\r|.");
    READS("{\"a\":1\n1\n[]\n\"\xff\"\n",
          "1@0!bad_json:{\"a\":1|2@7!not_object:1|3@9!not_object:[]|"
          "4@12!bad_utf8:\"\xff\"|.");
    READS("\f\n", "1@0!bad_json:\f|.");
    /* one byte that is no UTF-8 makes it that, wherever the syntax broke first */
    READS("{,\"\xff\"}\n", "1@0!bad_utf8:{,\"\xff\"}|.");
}

static void test_nul(void)
{
    int fd = pipe_of(STR("{\"a\0\":1}\n{}\n"));
    struct rec_reader *r = rec_reader_new(fd, "f", 64);
    struct rec rec = {0};
    struct err e;
    CHECK(rec_read(r, &rec, &e) == 1 && rec.line.n == 8 && !strcmp(rec.fault, "bad_json"));
    CHECK(!strcmp(rec.message, "f:1: control byte in a string at byte 4"));
    CHECK(rec_read(r, &rec, &e) == 1 && !rec.fault);
    CHECK(rec_read(r, &rec, &e) == 0 && rec_read(r, &rec, &e) == 0);
    rec_release(&rec);
    rec_reader_free(r);
    close(fd);
}

static void test_too_long(void)
{
    CHECK(reads(STR("{\"abc\":1}\n{\"abcd\":1}\n{}\n"), 9, false,
                "1@0:{\"abc\":1}|2@10!too_long:{\"abcd\":1}|3@21:{}|."));
    CHECK(reads(STR("\xef\xbb\xbf{\"abc\":1}\r\n{}"), 9, false, "1@3:{\"abc\":1}|2@14:{}|."));
    CHECK(reads(STR("{\"abcdefghijklmn\":1}"), 9, false,
                "1@0!too_long:{\"abcdefghijklmn\":1}|."));
    enum { LONG = 3 << 20 };
    struct buf in = {0};
    buf_puts(&in, "{}\n");
    buf_reserve(&in, LONG + 8);
    memset(in.p + in.n, 'x', LONG);
    in.n += LONG;
    buf_puts(&in, "\n{}\n");
    int fd = file_of(buf_str(&in));
    struct rec_reader *r = rec_reader_new(fd, "f", 1 << 20);
    struct rec rec = {0};
    struct err e;
    CHECK(rec_read(r, &rec, &e) == 1 && !rec.fault);
    CHECK(rec_read(r, &rec, &e) == 1 && rec.fault && !strcmp(rec.fault, "too_long"));
    CHECK(rec.line.n == REC_INPUT_MAX && rec.line.p[REC_INPUT_MAX - 1] == 'x');
    CHECK(!strcmp(rec.message, "f:2: 3145728 bytes, more than the 1048576 allowed"));
    CHECK(rec_read(r, &rec, &e) == 1 && !rec.fault && rec.number == 3 &&
          rec.offset == LONG + 4);
    CHECK(rec_read(r, &rec, &e) == 0);
    rec_release(&rec);
    rec_reader_free(r);
    buf_release(&in);
    close(fd);
}

static void test_ready(void)
{
    int fd[2];
    struct rec rec = {0};
    struct err e;
    if (pipe(fd) < 0)
        abort();
    struct rec_reader *r = rec_reader_new(fd[0], "f", 64);
    CHECK(!rec_ready(r));
    CHECK(write(fd[1], "{}\n{}\n \n", 8) == 8 && rec_read(r, &rec, &e) == 1);
    CHECK(rec_ready(r) && rec_read(r, &rec, &e) == 1);
    CHECK(!rec_ready(r)); /* a blank line only */
    CHECK(write(fd[1], "{}\n{\"a\"", 7) == 7 && rec_read(r, &rec, &e) == 1);
    CHECK(!rec_ready(r)); /* half a line */
    CHECK(write(fd[1], ":1}\n", 4) == 4 && rec_read(r, &rec, &e) == 1);
    CHECK(str_is(rec.line, "{\"a\":1}"));
    close(fd[1]);
    CHECK(rec_read(r, &rec, &e) == 0 && !rec_ready(r));
    rec_release(&rec);
    rec_reader_free(r);
    close(fd[0]);
}

static int rung; /* where the alarm writes */

static void ring(int sig)
{
    (void)sig;
    if (write(rung, "1}\n", 3) != 3)
        abort();
}

static void test_interrupted(void)
{
    int fd[2];
    struct rec rec = {0};
    struct err e = {0};
    struct sigaction act = {.sa_handler = ring}; /* no SA_RESTART: the read gets EINTR */
    struct itimerval soon = {.it_value = {.tv_usec = 20000}};
    if (pipe(fd) < 0)
        abort();
    rung = fd[1];
    struct rec_reader *r = rec_reader_new(fd[0], "f", 64);
    CHECK(write(fd[1], "{\"a\":", 5) == 5);
    sigaction(SIGALRM, &act, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    CHECK(rec_read(r, &rec, &e) == 1 && str_is(rec.line, "{\"a\":1}"));
    rec_reader_free(r);
    r = rec_reader_new(fd[0], "f", 64);
    fcntl(fd[0], F_SETFL, O_NONBLOCK);
    setitimer(ITIMER_REAL, &soon, NULL);
    CHECK(rec_read(r, &rec, &e) == 1 && str_is(rec.line, "1}"));
    rec_release(&rec);
    rec_reader_free(r);
    close(fd[0]);
    close(fd[1]);
    r = rec_reader_new(fd[0], "f", 64);
    CHECK(rec_read(r, &rec, &e) == -1 && e.status == EXIT_IO);
    rec_reader_free(r);
}

static void test_range(void)
{
    int fd = file_of(STR("{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n"));
    struct buf b = {0};
    struct rec_reader *r = rec_reader_new(fd, "f", 64);
    rec_reader_range(r, 8, 16, 2);
    CHECK(!strcmp(told(r, &b), "2@8:{\"b\":2}|."));
    rec_reader_free(r);
    r = rec_reader_new(fd, "f", 64);
    rec_reader_range(r, 24, 24, 4);
    CHECK(!strcmp(told(r, &b), "."));
    rec_reader_free(r);
    CHECK(lseek(fd, 0, SEEK_CUR) == 0);
    buf_release(&b);
    close(fd);
}

static void test_array(void)
{
    READS_ARRAY("{}\n[]\n", "1@0:{}|2@3!not_object:[]|.");
    READS_ARRAY("\n  {}\n", "2@1:  {}|.");
    READS_ARRAY("[]", ".");
    READS_ARRAY(" \n [ \n ] \n\n", ".");
    READS_ARRAY("\xef\xbb\xbf[{}]", "1@4:{}|.");
    READS_ARRAY("[{\"a\":1},\n {\"b\":[1,2]}\n]\n", "1@1:{\"a\":1}|2@11:{\"b\":[1,2]}|.");
    READS_ARRAY("[\n{\r\n\"a\":\n\n1\n}\n]", "2@2:{ \"a\": 1 }|.");
    READS_ARRAY("[{\"]\\\"},\":\"\\\\\"},{}]", "1@1:{\"]\\\"},\":\"\\\\\"}|1@16:{}|.");
    READS_ARRAY("[{\"a\nb\":1},{}]", "1@1!bad_json:{\"a\nb\":1}|2@11:{}|.");
    READS_ARRAY("[{},,{}]", "1@1:{}|1@4!bad_json:|1@5:{}|.");
    READS_ARRAY("[{},]", "1@1:{}|1@4!bad_json:|.");
    READS_ARRAY("[{},,]", "1@1:{}|1@4!bad_json:|1@5!bad_json:|.");
    READS_ARRAY("[{} {}]", "1@1!bad_json:{} {}|.");
    READS_ARRAY("[{},3,{}", "1@1:{}|1@4!not_object:3|1@6!bad_json:{}|.");
    READS_ARRAY("[{}}]", "1@1!bad_json:{}}|.");
    READS_ARRAY("[{}]\n{}\n", "1@1:{}|2@5!bad_json:{}|.");
    /* a first line that is an array of no objects does not make the file one */
    READS_ARRAY("[1]\n{}\n", "1@0!not_object:[1]|2@4:{}|.");
    READS_ARRAY("[", "1@0!bad_json:[|.");
    READS_ARRAY("[\n{", "2@2!bad_json:{|.");
    READS_ARRAY("[{\"0123456789012345678901\":1},{}]",
                "1@1!too_long:{\"0123456789012345678901\":1}|1@30:{}|.");
}

/* Long enough that the ends of the reader's chunks fall into every kind of place. */
static void test_array_cuts(void)
{
    enum { ELEMENTS = 40000 };
    struct buf in = {0};
    struct rec rec = {0};
    struct err e;
    buf_putc(&in, '[');
    for (int i = 0; i < ELEMENTS; i++)
        buf_printf(&in, "%s{\"n\":%d,\r\n\"s\":\"[\\\"%d\"}", i ? ",\n" : "", i, i);
    buf_puts(&in, "]\n");
    int fd = file_of(buf_str(&in)), wrong = 0, n = 0;
    struct rec_reader *r = rec_reader_new(fd, "f", 1 << 16);
    rec_reader_arrays(r);
    for (; rec_read(r, &rec, &e) == 1; n++) {
        char want[64];
        snprintf(want, sizeof want, "{\"n\":%d, \"s\":\"[\\\"%d\"}", n, n);
        wrong += rec.fault || !str_is(rec.line, want) || rec.number != 2 * (unsigned)n + 1;
    }
    CHECK(n == ELEMENTS && wrong == 0);
    rec_release(&rec);
    rec_reader_free(r);
    buf_release(&in);
    close(fd);
}

/* ---- output --------------------------------------------------------------- */

static struct rec parsed(struct str line)
{
    struct rec rec = {.line = line, .file = "f", .number = 7};
    rec_parse(&rec);
    return rec;
}

static bool appends(const char *line, const char *want)
{
    struct buf b = {0};
    struct rec rec = parsed(str_of(line));
    rec_begin(&b, &rec);
    rec_member_uint(&b, "n", UINT64_MAX);
    rec_member(&b, "t");
    buf_puts(&b, "true");
    rec_end(&b);
    bool same = !rec.fault && str_is(buf_str(&b), want);
    if (!same)
        fprintf(stderr, "got %s", b.p);
    rec_release(&rec);
    buf_release(&b);
    return same;
}

static void test_append(void)
{
    CHECK(appends("{}", "{\"n\":18446744073709551615,\"t\":true}\n"));
    CHECK(appends("{ }", "{ \"n\":18446744073709551615,\"t\":true}\n"));
    CHECK(appends("{\"a\":1.10 }", "{\"a\":1.10 ,\"n\":18446744073709551615,\"t\":true}\n"));
    CHECK(appends(" {\"a\":1e400} \t",
                  " {\"a\":1e400,\"n\":18446744073709551615,\"t\":true} \t\n"));
    CHECK(appends("\t{}\r", "\t{\"n\":18446744073709551615,\"t\":true}\r\n"));
    CHECK(appends("{\"a\":\"{\"}", "{\"a\":\"{\",\"n\":18446744073709551615,\"t\":true}\n"));
}

static bool drop_ours(const struct json_member *m, size_t index, void *arg)
{
    (void)index;
    (void)arg;
    return m->key.p[1] == '_';
}

static bool without(const char *line, const char *want)
{
    struct buf b = {0};
    struct rec rec = parsed(str_of(line));
    rec_without(&b, &rec, drop_ours, NULL);
    bool same = !rec.fault && str_is(buf_str(&b), want);
    if (!same)
        fprintf(stderr, "got %s\n", b.p);
    rec_release(&rec);
    buf_release(&b);
    return same;
}

static void test_without(void)
{
    CHECK(without("{\"a\":1}", "{\"a\":1}"));
    CHECK(without("{\"a\":1,\"_b\":2}", "{\"a\":1}"));
    CHECK(without("{\"a\":1 ,\"_b\":2, \"_c\" : [3] } ", "{\"a\":1  } "));
    CHECK(without("{\"_a\":1,\"b\":2}", "{\"b\":2}"));
    CHECK(without("{\"_a\":1 , \"_b\":2 , \"c\":3}", "{  \"c\":3}"));
    CHECK(without("{\"a\":1,\"_b\":2,\"c\":3,\"_d\":4}", "{\"a\":1,\"c\":3}"));
    CHECK(without("{\"_a\":1,\"b\":2,\"_c\":3}", "{\"b\":2}"));
    CHECK(without("{\"_a\":1}", "{}"));
    CHECK(without("{ \"_a\":1,\"_b\":2}", "{ }"));
    CHECK(without("{\"_a\":{\"x\":\",\"},\"_b\":[1,2], \"c\":\",\"}", "{ \"c\":\",\"}"));
    CHECK(without(" { } ", " { } "));
}

static void test_find(void)
{
    uint64_t n = 0;
    struct rec rec = parsed(
        STR("{\"_seq\":1,\"\\u005fseq\":2,\"a\":-1,\"b\":1.0,\"c\":\"1\"}"));
    CHECK(rec_find(&rec, "_seq") == &rec.members.v[1] && !rec_find(&rec, "seq"));
    CHECK(rec_index(&rec, "_seq", &n) == 1 && n == 2);
    CHECK(rec_index(&rec, "a", &n) == -1 && rec_index(&rec, "b", &n) == -1);
    CHECK(rec_index(&rec, "c", &n) == -1 && rec_index(&rec, "d", &n) == 0);
    rec_release(&rec);
}

static bool is_error(const char *line)
{
    struct rec rec = parsed(str_of(line));
    bool yes = rec_is_error(&rec);
    rec_release(&rec);
    return yes;
}

/* A mark is found wherever the pieces are cut that a long line goes by in. */
static void test_marks(void)
{
    enum { LONG = 300000 };
    char *line = xmalloc(LONG + 1);
    struct rec rec = {0};
    struct err e;
    for (size_t at = (1 << 17) - 40; at < (1 << 17) + 40; at++) {
        memset(line, 'x', LONG);
        memcpy(line, "{\"a\":\"", 6);
        const char marks[] = "\",\"_shard\":3, \"_seq\" : 12 ,\"m\":\"\\\"_seq\\\":4,";
        memcpy(line + at, marks, strlen(marks));
        memcpy(line + LONG - 16, "\",\"_last\":true}\n", 16);
        int fd = file_of((struct str){line, LONG});
        struct rec_reader *r = rec_reader_new(fd, "f", 64);
        CHECK(rec_read(r, &rec, &e) == 1 && rec.fault && rec.marks.has_seq &&
              rec.marks.seq == 12 && rec.marks.has_shard && rec.marks.shard == 3 &&
              rec.marks.last);
        CHECK(rec_read(r, &rec, &e) == 0);
        rec_reader_free(r);
        close(fd);
    }
    rec_release(&rec);
    free(line);
    rec = parsed(STR("{\"_seq\":1,\"_seq\":22} x"));
    CHECK(rec.marks.has_seq && rec.marks.seq == 22 && !rec.marks.last);
    rec_release(&rec);
    rec = parsed(
        STR("{\"a\":\"\\\"_seq\":5,\"_seq\":-1,\"_seq\":1.5,\"_last\":truey,\"_seq\":7"));
    CHECK(!rec.marks.has_seq && !rec.marks.has_shard && !rec.marks.last);
    rec_release(&rec);
}

static void test_errors(void)
{
    struct buf b = {0};
    struct rec rec = parsed(STR("{\"a\":1}"));
    rec_fail(&b, &rec, "tool", "missing_field", "no \"x\" in \xff");
    CHECK(str_is(buf_str(&b),
                 "{\"a\":1,\"error\":{\"stage\":\"tool\",\"type\":\"missing_field\","
                 "\"message\":\"no \\\"x\\\" in ?\"}}\n"));
    CHECK(is_error("{\"error\":{\"type\":\"x\",\"stage\":\"y\"}}"));
    CHECK(!is_error("{\"error\":{\"type\":\"x\"}}") && !is_error("{\"error\":\"x\"}"));
    CHECK(!is_error("{\"error\":{\"type\":1,\"stage\":2}}") && !is_error("{}"));
    rec_release(&rec);
    rec = parsed(STR("{\"a\":\"\n\"}"));
    rec_fail(&b, &rec, "tool", "ignored", "ignored");
    CHECK(str_is(
        buf_str(&b),
        "{\"error\":{\"stage\":\"tool\",\"type\":\"bad_json\",\"message\":\"f:7: control "
        "byte in a string at byte 7\",\"input\":\"{\\\"a\\\":\\\"\\n\\\"}\"}}\n"));
    rec_release(&rec);
    buf_release(&b);
}

static bool input_is(struct str line, const char *want)
{
    struct buf b = {0};
    struct rec rec = parsed(line);
    struct str error, input = {0};
    rec_fail(&b, &rec, "t", "", "");
    rec_release(&rec);
    rec = parsed((struct str){b.p, b.n - 1});
    bool same = rec_is_error(&rec) &&
                        json_get(rec_find(&rec, "error")->value, "input_base64", &error)
                    ? str_is(error, want)
                    : json_get(rec_find(&rec, "error")->value, "input", &input) &&
                          str_is(input, want);
    if (!same)
        fprintf(stderr, "got %s", b.p);
    rec_release(&rec);
    buf_release(&b);
    return same;
}

/* The first bytes of s, all 'x' behind them up to n. */
static struct str padded(char *s, const char *head, size_t n, const char *tail)
{
    memset(s, 'x', n);
    memcpy(s, head, strlen(head));
    memcpy(s + n, tail, strlen(tail));
    return (struct str){s, n + strlen(tail)};
}

static void test_inputs(void)
{
    static char s[6000], want[6000];
    CHECK(input_is(STR("\xff"), "\"/w==\""));
    CHECK(input_is(STR("\xff\xfe"), "\"//4=\""));
    CHECK(input_is(STR("abc\xff"), "\"YWJj/w==\""));
    CHECK(input_is(STR("ab\xff"), "\"YWL/\""));
    CHECK(input_is(STR("nope \xc3\xa9"), "\"nope \xc3\xa9\""));
    /* cut at 4096, and in front of a character that the cut would break */
    struct str line = padded(s, "", 4095, "\xe2\x82\xac tail");
    memset(want, 'x', 4097);
    want[0] = want[4096] = '"';
    CHECK(input_is(line, want));
    line = padded(s, "", 4093, "\xe2\x82\xac tail");
    memset(want, 'x', 4094);
    want[0] = '"';
    strcpy(want + 4094, "\xe2\x82\xac\"");
    CHECK(input_is(line, want));
    /* a bad byte behind the cut leaves the beginning readable */
    line = padded(s, "", 5000, "\xff");
    memset(want, 'x', 4097);
    strcpy(want + 4097, "\"");
    want[0] = '"';
    CHECK(input_is(line, want));
}

int main(void)
{
    test_lines();
    test_nul();
    test_too_long();
    test_marks();
    test_ready();
    test_interrupted();
    test_range();
    test_array();
    test_array_cuts();
    test_append();
    test_without();
    test_find();
    test_errors();
    test_inputs();
    return unit_done("rec");
}
