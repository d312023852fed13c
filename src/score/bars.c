/* bars.c - figures that a run must reach. */
#include "score/bars.h"

#include "base/error.h"
#include "rec/json.h"

#include <math.h>

/* Names that stand for a path; the first path that is there counts, so that f1 is the positive
 * label's where there is one. */
static const struct {
    const char *name, *path;
} short_names[] = {
    {"accuracy", "wrong.accuracy"},
    {"f1", "wrong.positive.f1"},
    {"f1", "wrong.macro.f1"},
    {"precision", "wrong.positive.precision"},
    {"precision", "wrong.macro.precision"},
    {"recall", "wrong.positive.recall"},
    {"recall", "wrong.macro.recall"},
    {"macro_f1", "wrong.macro.f1"},
    {"weighted_f1", "wrong.weighted.f1"},
    {"fpr", "wrong.fpr"},
    {"fnr", "wrong.fnr"},
    {"fpr_gap", "wrong.gap.fpr"},
    {"fnr_gap", "wrong.gap.fnr"},
    {"auroc", "probabilities.auroc"},
    {"average_precision", "probabilities.average_precision"},
    {"log_loss", "probabilities.log_loss"},
    {"brier", "probabilities.brier"},
    {"ece", "probabilities.ece"},
};

/* The place of '=' in "FIGURE=X", and X. */
static const char *split(const char *item, double *bar)
{
    const char *at = strrchr(item, '=');
    return at && at > item && parse_real(at + 1, bar) ? at : NULL;
}

void bars_check(const struct arg_list *bars, const char *option)
{
    double bar;
    for (size_t i = 0; i < bars->n; i++)
        if (!split(bars->items[i], &bar))
            die(EXIT_USAGE, "%s: '%s' is not FIGURE=NUMBER; write f1=0.6", option,
                bars->items[i]);
}

/* A member whose own name has dots goes first, as with the fields of records. */
static bool find(struct str object, struct str path, struct str *value)
{
    char name[512];
    for (size_t n = path.n; n; n--) {
        if ((n < path.n && path.p[n] != '.') || n >= sizeof name)
            continue;
        struct str inner;
        memcpy(name, path.p, n);
        name[n] = 0;
        if (json_kind(object) != JSON_OBJECT || !json_get(object, name, &inner))
            continue;
        if (n == path.n) {
            *value = inner;
            return true;
        }
        if (find(inner, (struct str){path.p + n + 1, path.n - n - 1}, value))
            return true;
    }
    return false;
}

/* null where a figure with a short name is not there, as without probabilities. */
static bool lookup(struct str json, struct str figure, struct str *value)
{
    bool known = false;
    for (size_t i = 0; i < sizeof short_names / sizeof *short_names; i++)
        if (str_is(figure, short_names[i].name)) {
            known = true;
            if (find(json, str_of(short_names[i].path), value))
                return true;
        }
    *value = STR("null");
    return known || find(json, figure, value);
}

size_t bars_missed(struct str json, const struct arg_list *bars, bool above)
{
    size_t missed = 0;
    for (size_t i = 0; i < bars->n; i++) {
        const char *item = bars->items[i];
        double bar = NAN, have = NAN;
        struct str value, figure = {item, (size_t)(split(item, &bar) - item)};
        if (!lookup(json, figure, &value) ||
            (!json_number(value, &have) && json_kind(value) != JSON_NULL))
            die(EXIT_USAGE,
                "'%s': no such figure; accuracy, f1, macro_f1, auroc ... or a path such as "
                "wrong.per_label.spam.f1",
                item);
        if (above ? have <= bar : have >= bar)
            continue;
        missed++;
        if (isnan(have))
            warn("%.*s is not defined here, and its bar is %g", (int)figure.n, figure.p, bar);
        else
            warn("%.*s is %.6g, %s the bar of %g", (int)figure.n, figure.p, have,
                 above ? "above" : "below", bar);
    }
    return missed;
}
