/* format.c - the formats of JSON Schema that are taken, as regular expressions over the whole
 * text.  They are a part of what the standards allow, so that every validator agrees.
 */
#include "grammar/net.h"

#define YEAR "[0-9]{4}"
/* Days that are in every year; the 29th of February in years that 4 divides, but no centuries.
 */
#define DATE                                                                           \
    "(" YEAR "-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|"        \
    "[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))|[0-9]{2}(0[48]|[2468][048]|[13579][26])" \
    "-02-29)"
#define TIME                                                                                  \
    "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5]" \
    "[0-9])"
#define LABEL "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
/* No label has -- at its third place: those are of international names. */
#define PLAIN_LABEL "[A-Za-z0-9]([A-Za-z0-9]|[A-Za-z0-9]{0,30}(-[A-Za-z0-9]{1,15})?)"
#define HOST PLAIN_LABEL "(\\." PLAIN_LABEL "){0,4}"
#define BYTE "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define IPV4 BYTE "(\\." BYTE "){3}"
#define HEX "[0-9A-Fa-f]{1,4}"
#define URI_CHAR "([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})"

static const struct {
    const char *name, *regex;
} formats[] = {
    {"date", DATE},
    {"time", TIME},
    {"date-time", DATE "T" TIME},
    {"duration",
     "P([0-9]{1,9}W|[0-9]{1,9}D(T([0-9]{1,9}H)?([0-9]{1,9}M)?[0-9]{1,9}S)?|[0-9]{1,9}Y([0-9]"
     "{1,9}M([0-9]{1,9}D)?)?|[0-9]{1,9}M([0-9]{1,9}D)?|T([0-9]{1,9}H([0-9]{1,9}M([0-9]{1,9}S"
     ")?)?|[0-9]{1,9}M([0-9]{1,9}S)?|[0-9]{1,9}S))"},
    {"email", "[A-Za-z0-9_+-]{1,32}(\\.[A-Za-z0-9_+-]{1,16}){0,2}@" HOST "\\.[A-Za-z]{2,16}"},
    {"hostname", HOST},
    {"ipv4", IPV4},
    {"ipv6",
     "((" HEX ":){7}" HEX "|(" HEX ":){1,7}:|(" HEX ":){1,6}:" HEX "|(" HEX ":){1,5}(:" HEX
     "){1,2}|(" HEX ":){1,4}(:" HEX "){1,3}|(" HEX ":){1,3}(:" HEX "){1,4}|(" HEX
     ":){1,2}(:" HEX "){1,5}|" HEX ":(:" HEX "){1,6}|:((:" HEX "){1,7}|:))"},
    {"uri", "[A-Za-z][A-Za-z0-9+.-]{0,15}:(//" HOST "(:[0-9]{1,4})?(/" URI_CHAR "{0,200})?|"
            "[A-Za-z0-9]" URI_CHAR "{0,200})"},
    {"uuid", "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"},
};

const char *format_regex(struct str name)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (str_is(name, formats[i].name))
            return formats[i].regex;
    return NULL;
}
