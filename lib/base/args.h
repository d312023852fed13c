/* args.h - one table per tool: parsing with range checks, --help with defaults, --version.
 *
 * The table is the single source: `make lint` compares it (through --help) with the man page.
 */
#ifndef ARGS_H
#define ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum arg_kind {
    ARG_FLAG,   /* bool *: set to true */
    ARG_STRING, /* const char **: borrowed from argv */
    ARG_INT,    /* int64_t *: min <= value <= max */
    ARG_SIZE,   /* int64_t *: bytes, with an optional K, M or G suffix (powers of 1024) */
    ARG_REAL,   /* double *: min <= value <= max */
    ARG_CHOICE, /* int *: index into `choices`, a list "a|b|c" */
    ARG_LIST,   /* struct arg_list *: may be given more than once */
    ARG_GROUP,  /* a heading of the help text; `help` is its words */
};

struct arg_list {
    const char **items;
    size_t n, cap;
};

struct arg {
    enum arg_kind kind;
    char letter;          /* 0: none */
    const char *name;     /* long option without "--" */
    void *to;             /* where the value goes; what stands there is the default */
    const char *metavar;  /* "N", "FILE", ...; for ARG_CHOICE the list of choices */
    const char *help;     /* one line; its default follows in brackets by itself */
    double min, max;      /* ARG_INT, ARG_SIZE, ARG_REAL; both 0: no bound but >= 0 */
    const char *fallback; /* words for the default where the value itself says nothing */
    bool *given;          /* set where the option was given; may be NULL */
};

struct args {
    const char *usage; /* "[-n N] [FILE...]" */
    const char *about; /* one line: what the tool does */
    const struct arg *table;
    size_t n;
    int min_files, max_files; /* operands; max_files < 0: any number */
    bool help_on_tty;         /* no operand and stdin a terminal: print the help */
};

#define ARGS_COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* Parses argv by the table; prints help or version and exits 0 where asked, prints one line and
 * exits 64 on a wrong option or value (an unknown long option names the nearest known one).
 * Returns the operands, a NULL-terminated tail of argv; options may stand among them, "--" ends
 * them, and "-" is an operand. */
char **args_parse(const struct args *a, int argc, char **argv);

/* Strict numbers: the whole text, no blanks.  False if it is not one or does not fit. */
bool parse_int(const char *s, int64_t *out);
bool parse_real(const char *s, double *out);
bool parse_size(const char *s, int64_t *out);

#endif
