/* read_array.c - a file that is one JSON array, given out element by element.
 *
 * Where an element ends is found by counting brackets outside strings, which needs no more
 * memory than three flags; whether it is JSON is the validating scanner's business.
 */
#include "rec/reader.h"
#include "rec/scan.h"

void rec_reader_arrays(struct rec_reader *r)
{
    r->array = ARRAY_MAYBE;
}

static bool is_bom(const struct rec_reader *r, size_t i)
{
    return r->offset == 0 && i < 3 && r->bytes[i] == "\xef\xbb\xbf"[i];
}

/* Whole blank lines are consumed while looking, so that memory stays bounded; the blanks in
 * front of a record in a file of lines are its own and stay. */
int reader_array_begin(struct rec_reader *r, struct err *e)
{
    enum { BLANKS_MAX = 4096 };
    size_t i = r->at, open = 0; /* open: how far behind `at` the bracket ends, once seen */
    r->array = ARRAY_NO;
    for (;;) {
        if (i == r->have) {
            size_t looked = i - r->at;
            int k = looked < BLANKS_MAX ? reader_fill(r, e) : 0;
            if (k <= 0)
                return k;
            i = r->at + looked;
        }
        char c = r->bytes[i++];
        if (c == '\n' && !open) {
            r->at = r->seen = i;
            r->line++;
        } else if (c == '[' && !open) {
            open = i - r->at;
        } else if ((c == '{' || c == ']') && open) {
            r->at = r->seen = r->at + open;
            r->array = ARRAY_INSIDE;
            return 0;
        } else if (!json_is_blank(c) && !is_bom(r, i - 1)) {
            return 0;
        }
    }
}

static bool find_element(struct rec_reader *r)
{
    for (; r->seen < r->have; r->seen++) {
        char c = r->bytes[r->seen];
        r->line += c == '\n';
        if (r->in_escape) {
            r->in_escape = false;
        } else if (r->in_string) {
            r->in_escape = c == '\\';
            r->in_string = c != '"';
        } else if (c == '"') {
            r->in_string = true;
        } else if (c == '{' || c == '[') {
            r->depth++;
        } else if (r->depth) {
            r->depth -= c == '}' || c == ']';
        } else if (c == ',' || c == ']') {
            r->closed = c == ']';
            return true;
        }
    }
    return false;
}

/* Leaves `at` on the first byte of the element, or of what stands in its place.  0: the file
 * ends before it. */
static int skip_to_element(struct rec_reader *r, struct err *e)
{
    for (;;) {
        for (; r->at < r->have; r->at++) {
            if (!json_is_blank(r->bytes[r->at])) {
                r->seen = r->at;
                return 1;
            }
            r->line += r->bytes[r->at] == '\n';
        }
        r->seen = r->at;
        int k = reader_fill(r, e);
        if (k <= 0)
            return k;
    }
}

/* Makes one line of an element: each run of CR and LF outside strings becomes one space. */
static void join_lines(struct rec_reader *r, struct str *line)
{
    while (line->n && json_is_blank(line->p[line->n - 1]))
        line->n--;
    char *to = r->bytes + (line->p - r->bytes), *from = to, *end = to + line->n;
    bool in_string = false;
    while (from < end) {
        char c = *from++;
        if (c == '"')
            in_string = !in_string;
        if (!in_string && (c == '\n' || c == '\r')) {
            while (from < end && (*from == '\n' || *from == '\r'))
                from++;
            c = ' ';
        }
        *to++ = c;
        if (in_string && c == '\\' && from < end)
            *to++ = *from++;
    }
    line->n = (size_t)(to - line->p);
}

int reader_array_next(struct rec_reader *r, struct rec *rec, struct err *e)
{
    size_t length = 0;
    r->depth = 0;
    r->in_string = r->in_escape = r->closed = false;
    r->element++;
    int k = skip_to_element(r, e);
    if (k < 0)
        return -1;
    rec->number = r->line;
    rec->line = (struct str){"", 0};
    k = reader_piece(r, find_element, rec, &length, e);
    if (k < 0)
        return -1;
    if (r->closed || r->cut)
        r->array = ARRAY_BEHIND;
    if (!r->dropped && length)
        join_lines(r, &rec->line);
    if (length > r->max_record)
        rec_fault_too_long(rec, length, r->max_record);
    else if (r->cut)
        rec_fault(rec, "bad_json", "the array is not closed");
    else if (!length && r->closed && r->element == 1)
        return 0;
    else if (!length)
        rec_fault(rec, "bad_json", "element %llu of the array is empty",
                  (unsigned long long)r->element);
    return 1;
}
