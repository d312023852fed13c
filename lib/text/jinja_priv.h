/* jinja_priv.h - what the files of the template interpreter share: one parse or one render.
 *
 * A struct jj holds its memory (an arena that lives as long as the parsed template or the
 * render), where it stands in the source, and the way out when something fails: jj_fail()
 * formats the error and leaves by longjmp, so that no caller has to look.  Whatever has to be
 * freed is therefore held by the struct jj, never by a function.
 *
 * jinja_value.h has the values, jinja_ast.h the parsed template, jinja_run.h its evaluation.
 */
#ifndef JINJA_PRIV_H
#define JINJA_PRIV_H

#include "text/jinja.h"

#include <setjmp.h>
#include <stdbool.h>

enum {
    JJ_NEST_MAX = 128,       /* nesting of the source, of calls, of values that are printed */
    JJ_CHAIN_MAX = 500,      /* operators in one expression, without brackets */
    JJ_EVAL_MAX = 2000,      /* all that is under way at one moment: bounds the C stack */
    JJ_RANGE_MAX = 100000,   /* items of a range(), as jinja2's sandbox has it */
    JJ_SOURCE_MAX = 4 << 20, /* bytes of a template */
};

struct jj_act;
struct jj_val;

struct jj_pos {
    uint32_t line, column;
};

struct jj_capture {
    struct buf text;
    struct jj_capture *next;
};

struct jj {
    const char *name;
    int status; /* of its errors: EXIT_CONFIG while parsing, EXIT_DATA while rendering */
    struct err *err;
    struct jj_pos at;
    jmp_buf exit;
    struct jj_chunk *chunks;
    size_t memory, memory_max;

    /* rendering */
    const struct jinja *t;
    const struct jinja_var **vars; /* by name id */
    struct jj_val *context;        /* by name id; decoded when first used */
    const struct jinja_time *now;
    struct jj_act *act;
    struct buf *out, *final;             /* where text goes now; the caller's */
    struct jj_capture *captures, *spare; /* in use, innermost first; free ones */
    struct jinja_marks *marks;           /* NULL: not asked for */
    size_t begin;                        /* of the output, in *final */
    struct buf scratch;
    const struct jj_val *filtered; /* the text of the filter block at work */
    int64_t steps, steps_max, written, written_max;
    int depth, calls;
};

/* Ends the parse or render with an error at j->at. */
_Noreturn void jj_fail(struct jj *j, const char *fmt, ...) PRINTF_LIKE(2, 3);
void *jj_alloc(struct jj *j, size_t size); /* aligned, not cleared */
void *jj_alloc_n(struct jj *j, size_t n, size_t size);
void *jj_zalloc(struct jj *j, size_t size);
void jj_release(struct jj *j); /* all memory */
/* Grows an arena array, doubling; the old one stays behind. */
void *jj_grow(struct jj *j, void *p, size_t n, size_t *cap, size_t size);
void jj_step(struct jj *j, size_t n); /* counts work against the limit */
void jj_push(struct jj *j);           /* one more thing under way; j->depth-- ends it */
/* A text that is being made has n bytes by now: fails beyond the limit of the output. */
void jj_check_size(struct jj *j, size_t n);

#endif
