/* jinja_time.c - strftime_now: the given time, in English, whatever the locale. */
#include "text/jinja_run.h"

#include <time.h>

static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                   "Thursday", "Friday", "Saturday"};
static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};

/* Week of the year whose first day is `first` (0: Sunday, 1: Monday). */
static int week(const struct tm *t, int first)
{
    return (t->tm_yday + 7 - (t->tm_wday + 7 - first) % 7) / 7;
}

static void iso_week(const struct tm *t, int *year, int *number)
{
    struct tm thursday = *t;
    thursday.tm_mday += 3 - (t->tm_wday + 6) % 7;
    time_t when = timegm(&thursday);
    gmtime_r(&when, &thursday);
    *year = thursday.tm_year + 1900;
    *number = thursday.tm_yday / 7 + 1;
}

#define TWO(value) buf_printf(b, pad == '-' ? "%d" : pad == '_' ? "%2d" : "%02d", value)

static void put_part(struct jj *j, struct buf *b, char c, char pad, const struct tm *t)
{
    int year = t->tm_year + 1900, hour = (t->tm_hour + 11) % 12 + 1, n;
    switch (c) {
    case 'a': buf_printf(b, "%.3s", days[t->tm_wday]); break;
    case 'A': buf_puts(b, days[t->tm_wday]); break;
    case 'b':
    case 'h': buf_printf(b, "%.3s", months[t->tm_mon]); break;
    case 'B': buf_puts(b, months[t->tm_mon]); break;
    case 'C': TWO(year / 100); break;
    case 'd': TWO(t->tm_mday); break;
    case 'e': buf_printf(b, pad == '-' ? "%d" : pad == '0' ? "%02d" : "%2d", t->tm_mday); break;
    case 'f': buf_puts(b, "000000"); break;
    case 'g':
    case 'G':
        iso_week(t, &year, &n);
        if (c == 'g')
            TWO(year % 100);
        else
            buf_printf(b, "%d", year);
        break;
    case 'H': TWO(t->tm_hour); break;
    case 'I': TWO(hour); break;
    case 'j': buf_printf(b, pad == '-' ? "%d" : "%03d", t->tm_yday + 1); break;
    case 'k': buf_printf(b, "%2d", t->tm_hour); break;
    case 'l': buf_printf(b, "%2d", hour); break;
    case 'm': TWO(t->tm_mon + 1); break;
    case 'M': TWO(t->tm_min); break;
    case 'n': buf_putc(b, '\n'); break;
    case 'p': buf_puts(b, t->tm_hour < 12 ? "AM" : "PM"); break;
    case 'P': buf_puts(b, t->tm_hour < 12 ? "am" : "pm"); break;
    case 'S': TWO(t->tm_sec); break;
    case 't': buf_putc(b, '\t'); break;
    case 'u': buf_printf(b, "%d", (t->tm_wday + 6) % 7 + 1); break;
    case 'U': TWO(week(t, 0)); break;
    case 'V':
        iso_week(t, &year, &n);
        TWO(n);
        break;
    case 'w': buf_printf(b, "%d", t->tm_wday); break;
    case 'W': TWO(week(t, 1)); break;
    case 'y': TWO(year % 100); break;
    case 'Y': buf_printf(b, "%d", year); break;
    case 'z':
    case 'Z': break; /* a time without a zone */
    case '%': buf_putc(b, '%'); break;
    default: jj_fail(j, "strftime_now() does not know %%%c", c);
    }
}

static void put_format(struct jj *j, struct buf *b, struct str fmt, const struct tm *t)
{
    static const struct {
        char c;
        const char *means;
    } whole[] = {
        {'c', "%a %b %e %H:%M:%S %Y"},
        {'D', "%m/%d/%y"},
        {'F', "%Y-%m-%d"},
        {'r', "%I:%M:%S %p"},
        {'R', "%H:%M"},
        {'T', "%H:%M:%S"},
        {'x', "%m/%d/%y"},
        {'X', "%H:%M:%S"},
    };
    for (size_t i = 0; i < fmt.n; i++) {
        if (fmt.p[i] != '%') {
            buf_putc(b, fmt.p[i]);
            continue;
        }
        char pad = 0;
        if (i + 1 < fmt.n &&
            (fmt.p[i + 1] == '-' || fmt.p[i + 1] == '_' || fmt.p[i + 1] == '0'))
            pad = fmt.p[++i];
        if (++i == fmt.n)
            jj_fail(j, "the format of strftime_now() ends with %%");
        const char *means = NULL;
        for (size_t k = 0; k < sizeof whole / sizeof *whole; k++)
            if (whole[k].c == fmt.p[i])
                means = whole[k].means;
        if (means)
            put_format(j, b, str_of(means), t);
        else
            put_part(j, b, fmt.p[i], pad, t);
    }
}

void jj_put_time(struct jj *j, struct buf *b, struct str fmt, const struct jinja_time *now)
{
    struct tm t = {.tm_year = now->year - 1900,
                   .tm_mon = now->month - 1,
                   .tm_mday = now->day,
                   .tm_hour = now->hour,
                   .tm_min = now->minute,
                   .tm_sec = now->second};
    time_t when = timegm(&t);
    gmtime_r(&when, &t);
    put_format(j, b, fmt, &t);
}
