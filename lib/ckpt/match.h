/* match.h - module names against the patterns of an adapter's configuration.
 *
 * The patterns are Python regular expressions from a stranger's file.  PCRE2 reads what is
 * written in practice (look-aheads, lazy repeats, \b) as Python does; what makes it safe is one
 * budget of steps for all patterns of a configuration, counted by callouts before every item of
 * a pattern: the time is bounded however patterns are combined, and the same file is always
 * refused or always taken.  A pattern without operators, as tools write one for each module, is
 * compared as text.
 */
#ifndef MATCH_H
#define MATCH_H

#include "base/error.h"

enum match_form {
    MATCH_WHOLE, /* re.fullmatch(pattern, name): target_modules */
    MATCH_TAIL,  /* re.match("(.*\.)?(pattern)$", name): rank_pattern, alpha_pattern */
};

struct matcher;
struct matcher *matcher_new(void);
void matcher_free(struct matcher *m);

/* A number for matcher_test(), or -1: not a pattern, or one too long (EXIT_CONFIG). */
int matcher_add(struct matcher *m, enum match_form form, const char *pattern,
                struct err *e) MUST_CHECK;
/* 1: the name matches; 0: it does not; -1: the budget is spent (EXIT_CONFIG names the pattern).
 */
int matcher_test(struct matcher *m, int pattern, const char *name, struct err *e) MUST_CHECK;

#endif
