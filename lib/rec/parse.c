/* parse.c - from a line to a record: what is wrong with it, or its members. */
#include "rec/reader.h"
#include "rec/scan.h"
#include "rec/utf8.h"

#include <stdio.h>

/* The end of a long path says more than its beginning. */
enum { PATH_SHOWN = 80 };

void rec_fault(struct rec *rec, const char *type, const char *fmt, ...)
{
    const char *file = rec->file ? rec->file : "<record>", *dots = "";
    size_t n = strlen(file);
    if (n > PATH_SHOWN) {
        file += n - PATH_SHOWN;
        dots = "...";
    }
    int k = snprintf(rec->message, sizeof rec->message, "%s%s:%llu: ", dots, file,
                     (unsigned long long)rec->number);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(rec->message + k, sizeof rec->message - (size_t)k, fmt, ap);
    va_end(ap);
    rec->fault = type;
    rec->members.n = 0;
}

void rec_fault_too_long(struct rec *rec, size_t length, size_t max_record)
{
    if (!rec->marks.has_seq) /* else the whole of it has been looked through */
        rec_marks_find(&rec->marks, rec->line);
    if (rec->line.n > REC_INPUT_MAX)
        rec->line.n = REC_INPUT_MAX;
    rec_fault(rec, "too_long", "%zu bytes, more than the %zu allowed", length, max_record);
}

void rec_parse(struct rec *rec)
{
    struct json_fault f;
    if (rec->fault)
        return;
    struct str line = rec->line;
    int (*check)(const char *, size_t, struct json_members *,
                 struct json_fault *) = rec->is_utf8 ? json_check_utf8 : json_check;
    if (check(line.p, line.n, &rec->members, &f) == 0) {
        if (*json_skip_blanks(line.p, line.p + line.n) != '{')
            rec_fault(rec, "not_object", "not a JSON object");
        return;
    }
    /* What the line is comes before where the scanner stopped: text that is no UTF-8 is no
     * JSON text at all, wherever the first bad byte stands. */
    rec_marks_find(&rec->marks, line);
    size_t valid = utf8_valid_to(line.p, line.n);
    if (valid < line.n)
        rec_fault(rec, "bad_utf8", "invalid UTF-8 at byte %zu", valid + 1);
    else
        rec_fault(rec, "bad_json", "%s at byte %zu", f.what, f.at + 1);
}
