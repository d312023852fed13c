/* tok_steps.c - every normalizer and pre-tokenizer, alone or in sequence, on short texts.
 *
 * The model has a token for some characters, one for each as the end of a piece ("a|"), and no
 * merges; its tokens end to end show the normalized text with a "|" behind each piece.  What is
 * wanted was written down from tokenizers 0.23.3.
 */
#include "tok_fixture.h"
#include "unit.h"

struct step_case {
    const char *normalizer, *pre, *text, *want;
};

static const struct step_case cases[] = {
    {"{`type`:`NFC`}", NULL, "e\314\201 A\314\212 u\314\243\314\201 \342\204\253",
     "\303\251 \303\205 \314\201 \303\205|"},
    {"{`type`:`NFD`}", NULL, "\303\251\303\205", "e\314\201A\314\212|"},
    {"{`type`:`NFKC`}", NULL, "\357\254\201\302\262 \342\204\253", "fi2 \303\205|"},
    {"{`type`:`NFKD`}", NULL, "\357\254\201\303\251", "fie\314\201|"},
    {"{`type`:`Lowercase`}", NULL, "ABC \304\260\303\205", "abc i\314\207\303\245|"},
    {"{`type`:`Strip`,`strip_left`:true,`strip_right`:false}", NULL, " \302\240ab \343\200\200",
     "ab \343\200\200|"},
    {"{`type`:`Strip`,`strip_left`:true,`strip_right`:true}", NULL, " \302\240ab \343\200\200",
     "ab|"},
    {"{`type`:`StripAccents`}", NULL, "e\314\201a", "ea|"},
    {"{`type`:`Nmt`}", NULL, "a\001b\342\200\213c\011d\342\226\201", "ab c d |"},
    {"{`type`:`Prepend`,`prepend`:`<>`}", NULL, "ab", "<>ab|"},
    {"{`type`:`Prepend`,`prepend`:`<>`}", NULL, "", ""},
    {"{`type`:`Replace`,`pattern`:{`String`:`aa`},`content`:`b`}", NULL, "aaaa aaa", "bb ba|"},
    {"{`type`:`Replace`,`pattern`:{`Regex`:`[ab]+`},`content`:`<`}", NULL, "xabay", "x<y|"},
    {"{`type`:`Replace`,`pattern`:{`Regex`:`x*`},`content`:`-`}", NULL, "axxb", "-a-b-|"},
    /* what stands for two characters stands where the second did, and is not the text's first
     */
    {"{`type`:`Replace`,`pattern`:{`String`:`a`},`content`:`x`}",
     "{`type`:`Metaspace`,`replacement`:`_`,`prepend_scheme`:`first`,`split`:false}", "ab",
     "_xb|"},
    {"{`type`:`Replace`,`pattern`:{`String`:`ab`},`content`:`x`}",
     "{`type`:`Metaspace`,`replacement`:`_`,`prepend_scheme`:`first`,`split`:false}", "aba",
     "xa|"},
    {"{`type`:`Replace`,`pattern`:{`String`:`a`},`content`:``}",
     "{`type`:`Metaspace`,`replacement`:`_`,`prepend_scheme`:`first`,`split`:false}", "ab",
     "b|"},
    {"{`type`:`BertNormalizer`,`clean_text`:true,`handle_chinese_chars`:true,`strip_accents`:"
     "null,`lowercase`:true}",
     NULL, "A\001\303\211\011\344\270\255a", "ae  \344\270\255 a|"},
    {"{`type`:`BertNormalizer`,`clean_text`:false,`handle_chinese_chars`:false,`strip_accents`:"
     "true,`lowercase`:false}",
     NULL, "A\303\251", "Ae|"},
    {"{`type`:`ByteLevel`}", NULL, "a b", "a\304\240b|"},
    {"{`type`:`Sequence`,`normalizers`:[{`type`:`Lowercase`},{`type`:`Prepend`,`prepend`:`A`}]"
     "}",
     NULL, "XY", "Axy|"},
    {NULL, "{`type`:`Split`,`pattern`:{`String`:`-`},`behavior`:`Removed`,`invert`:false}",
     "-a-b--c-", "a|b|c|"},
    {NULL, "{`type`:`Split`,`pattern`:{`String`:`-`},`behavior`:`Isolated`,`invert`:false}",
     "-a-b--c-", "-|a|-|b|-|-|c|-|"},
    {NULL,
     "{`type`:`Split`,`pattern`:{`String`:`-`},`behavior`:`MergedWithPrevious`,`invert`:false}",
     "-a-b--c-", "-|a-|b-|-|c-|"},
    {NULL,
     "{`type`:`Split`,`pattern`:{`String`:`-`},`behavior`:`MergedWithNext`,`invert`:false}",
     "-a-b--c-", "-a|-b|-|-c|-|"},
    {NULL, "{`type`:`Split`,`pattern`:{`String`:`-`},`behavior`:`Contiguous`,`invert`:false}",
     "-a-b--c-", "-|a|-|b|--|c|-|"},
    {NULL, "{`type`:`Split`,`pattern`:{`Regex`:`[a-z]+`},`behavior`:`Removed`,`invert`:true}",
     "ab, cd", "ab|cd|"},
    {NULL,
     "{`type`:`Split`,`pattern`:{`Regex`:`[a-z]+`},`behavior`:`MergedWithPrevious`,`invert`:"
     "true}",
     "ab, cd", "ab, |cd|"},
    {NULL,
     "{`type`:`Split`,`pattern`:{`Regex`:`[a-z]+`},`behavior`:`MergedWithNext`,`invert`:true}",
     "ab, cd", "ab|, cd|"},
    {NULL, "{`type`:`Split`,`pattern`:{`Regex`:`a*`},`behavior`:`Isolated`,`invert`:false}",
     "baac", "b|aa|c|"},
    {NULL, "{`type`:`Split`,`pattern`:{`Regex`:`b$`},`behavior`:`Isolated`,`invert`:false}",
     "ab\012bb", "a|b|b|b|"},
    {NULL, "{`type`:`Split`,`pattern`:{`Regex`:`^a`},`behavior`:`Isolated`,`invert`:false}",
     "aa\012aa", "a|aa|a|"},
    {NULL, "{`type`:`Split`,`pattern`:{`Regex`:`a.b`},`behavior`:`Isolated`,`invert`:false}",
     "xa\012bxa-bx", "xabx|a-b|x|"},
    {NULL,
     "{`type`:`Split`,`pattern`:{`Regex`:`(?m:a.b)`},`behavior`:`Isolated`,`invert`:false}",
     "xa\012bxa-bx", "x|ab|x|a-b|x|"},
    {NULL, "{`type`:`Split`,`pattern`:{`Regex`:`\\\\s+`},`behavior`:`Isolated`,`invert`:false}",
     "a \343\200\200b\341\240\216c", "a| \343\200\200|bc|"},
    {NULL, "{`type`:`Split`,`pattern`:{`Regex`:`\\\\w+`},`behavior`:`Isolated`,`invert`:false}",
     "e\314\201a_b-9", "e\314\201a_b|-|9|"},
    {NULL, "{`type`:`Split`,`pattern`:{`Regex`:`\\\\W`},`behavior`:`Isolated`,`invert`:false}",
     "e\314\201a_b-9", "e\314\201a_b|-|9|"},
    {NULL, "{`type`:`Split`,`pattern`:{`Regex`:`\\\\h+`},`behavior`:`Isolated`,`invert`:false}",
     "xyzfade 9", "xyz|fade| |9|"},
    {NULL,
     "{`type`:`Split`,`pattern`:{`Regex`:`[^\\\\s\\\\h]+`},`behavior`:`Isolated`,`invert`:"
     "false}",
     "xyzfade 9g", "xyz|fade 9|g|"},
    {NULL,
     "{`type`:`Split`,`pattern`:{`Regex`:`\\\\u4e2d`},`behavior`:`Isolated`,`invert`:false}",
     "a\344\270\255b", "a|\344\270\255|b|"},
    {NULL,
     "{`type`:`Split`,`pattern`:{`Regex`:`[a-z&&[^b-d]]+`},`behavior`:`Isolated`,`invert`:"
     "false}",
     "abcdefz", "a|bcd|efz|"},
    {NULL,
     "{`type`:`Split`,`pattern`:{`Regex`:`[^a&&[^b]]+`},`behavior`:`Isolated`,`invert`:false}",
     "abcabd", "a|bc|a|bd|"},
    {NULL, "{`type`:`Split`,`pattern`:{`Regex`:`x{,2}y`},`behavior`:`Isolated`,`invert`:false}",
     "xxxyy", "x|xxy|y|"},
    {NULL,
     "{`type`:`Split`,`pattern`:{`Regex`:`(?i:'s|'re)`},`behavior`:`Isolated`,`invert`:false}",
     "a'S b'Re", "a|'S| b|'Re|"},
    {NULL, "{`type`:`Split`,`pattern`:{`Regex`:`a++b|a`},`behavior`:`Isolated`,`invert`:false}",
     "aabaa", "aab|a|a|"},
    {NULL, "{`type`:`Split`,`pattern`:{`Regex`:`[]a]+`},`behavior`:`Isolated`,`invert`:false}",
     "b]ab", "b|]a|b|"},
    {NULL,
     "{`type`:`Split`,`pattern`:{`Regex`:`[[:digit:]x]+`},`behavior`:`Isolated`,`invert`:"
     "false}",
     "a12xb", "a|12x|b|"},
    {NULL,
     "{`type`:`Split`,`pattern`:{`Regex`:` "
     "?[^(\\\\s|[.,!?])]+`},`behavior`:`Isolated`,`invert`:false}",
     "ab, c(d|e) f!?", "ab|,| c|(|d|||e|)| f|!?|"},
    {NULL,
     "{`type`:`Split`,`pattern`:{`Regex`:`[a[-b]c]+`},`behavior`:`Isolated`,`invert`:false}",
     "xa-bcx", "x|a-bc|x|"},
    {NULL,
     "{`type`:`Split`,`pattern`:{`Regex`:`[\\\\d[\\\\s[x]]]+`},`behavior`:`Isolated`,`invert`:"
     "false}",
     "a1 xb", "a|1 x|b|"},
    {NULL,
     "{`type`:`Split`,`pattern`:{`Regex`:` "
     "?[^\\\\S\\\\n]+`},`behavior`:`Isolated`,`invert`:false}",
     "a  \012 b\341\240\216c", "a|  | |bc|"},
    {NULL, "{`type`:`Split`,`pattern`:{`Regex`:`\\\\bb`},`behavior`:`Isolated`,`invert`:false}",
     "ab b-b\303\251b", "ab |b|-|b|\303\251b|"},
    {NULL,
     "{`type`:`Split`,`pattern`:{`Regex`:`[\\\\W_]+`},`behavior`:`Isolated`,`invert`:false}",
     "a_-\302\262b, c", "a|_-\302\262|b|, |c|"},
    {NULL,
     "{`type`:`Split`,`pattern`:{`Regex`:`\\\\p{Han}+`},`behavior`:`Isolated`,`invert`:false}",
     "a\344\270\255\343\200\202b", "a|\344\270\255|b|"},
    {NULL,
     "{`type`:`Split`,`pattern`:{`Regex`:`[[:punct:]]+`},`behavior`:`Isolated`,`invert`:false}",
     "a$,b^", "a|$,|b|^|"},
    {NULL,
     "{`type`:`Split`,`pattern`:{`Regex`:`[^[:alpha:]]+`},`behavior`:`Isolated`,`invert`:"
     "false}",
     "ab12 c", "ab|12 |c|"},
    {NULL,
     "{`type`:`Split`,`pattern`:{`Regex`:`\\\\p{^Lu}+`},`behavior`:`Isolated`,`invert`:false}",
     "aBcD", "a|B|c|D|"},
    {NULL,
     "{`type`:`Split`,`pattern`:{`Regex`:`\\\\P{Alpha}+`},`behavior`:`Isolated`,`invert`:"
     "false}",
     "ab-1c", "ab|-1|c|"},
    {NULL,
     "{`type`:`Split`,`pattern`:{`Regex`:`[a-z&&[aeiou]]+`},`behavior`:`Isolated`,`invert`:"
     "false}",
     "baeb", "b|ae|b|"},
    {NULL,
     "{`type`:`Split`,`pattern`:{`Regex`:`[a-z&&[^aeiou]&&[^b]]+`},`behavior`:`Isolated`,`"
     "invert`:false}",
     "abcde", "ab|cd|e|"},
    {NULL,
     "{`type`:`Split`,`pattern`:{`Regex`:`[^\\\\P{L}\\\\P{Lu}]`},`behavior`:`Isolated`,`invert`"
     ":false}",
     "aBc", "a|B|c|"},
    {NULL,
     "{`type`:`Split`,`pattern`:{`Regex`:`[x[^a-z]]+`},`behavior`:`Isolated`,`invert`:false}",
     "axA1b", "a|xA1|b|"},
    {NULL, "{`type`:`Punctuation`}", "a,b..\342\200\231c", "a|,|b|.|.|\342\200\231|c|"},
    {NULL, "{`type`:`Punctuation`,`behavior`:`Contiguous`}", "a,b..\342\200\231c",
     "a|,|b|..\342\200\231|c|"},
    {NULL, "{`type`:`Digits`,`individual_digits`:true}", "a12\302\262\331\243b",
     "a|1|2|\302\262|\331\243|b|"},
    {NULL, "{`type`:`Digits`,`individual_digits`:false}", "a12\302\262\331\243b",
     "a|12\302\262\331\243|b|"},
    {NULL, "{`type`:`Whitespace`}", "ab_c, d\343\200\200!?", "ab_c|,|d|!?|"},
    {NULL, "{`type`:`WhitespaceSplit`}", " ab  c\343\200\200d", "ab|c|d|"},
    {NULL, "{`type`:`BertPreTokenizer`}", "ab, c!d", "ab|,|c|!|d|"},
    {NULL, "{`type`:`CharDelimiterSplit`,`delimiter`:`x`}", "axbxxc", "a|b|c|"},
    {NULL, "{`type`:`FixedLength`,`length`:2}", "a\344\270\255cde", "a\344\270\255|cd|e|"},
    {NULL, "{`type`:`ByteLevel`,`add_prefix_space`:true,`trim_offsets`:true,`use_regex`:true}",
     "ab cd", "\304\240ab|\304\240cd|"},
    {NULL,
     "{`type`:`ByteLevel`,`add_prefix_space`:false,`trim_offsets`:true,`use_regex`:false}",
     "ab cd", "ab\304\240cd|"},
    {NULL, "{`type`:`Metaspace`,`replacement`:`\342\226\201`,`prepend_scheme`:`always`}",
     "ab c  d", "\342\226\201ab|\342\226\201c|\342\226\201|\342\226\201d|"},
    {NULL,
     "{`type`:`Metaspace`,`replacement`:`\342\226\201`,`prepend_scheme`:`never`,`split`:false}",
     "ab c", "ab\342\226\201c|"},
    {NULL, "{`type`:`Metaspace`,`replacement`:`\342\226\201`,`add_prefix_space`:true}", " ab",
     "\342\226\201ab|"},
    {NULL,
     "{`type`:`Sequence`,`pretokenizers`:[{`type`:`Split`,`pattern`:{`String`:`,`},`behavior`:`"
     "Removed`,`invert`:false},{`type`:`Metaspace`,`replacement`:`\342\226\201`,`prepend_"
     "scheme`:`first`}]}",
     "a b,c", "\342\226\201a|\342\226\201b|c|"},
    {NULL,
     "{`type`:`Sequence`,`pretokenizers`:[{`type`:`WhitespaceSplit`},{`type`:`Metaspace`,`"
     "replacement`:`\342\226\201`,`prepend_scheme`:`first`}]}",
     " a b", "a|b|"},
    {"{`type`:`Strip`,`strip_left`:true,`strip_right`:false}",
     "{`type`:`Metaspace`,`replacement`:`\342\226\201`,`prepend_scheme`:`first`}", " ab",
     "ab|"},
};

/* ASCII, and characters that the cases have. */
static const char *const others = "é\xcc\x81▁中ßİ\xcc\x87ﬁĠ\xc2\xa0\xe3\x80\x80²٣’\xe2\x84\xab"
                                  "Ååü\xcc\x8a\xcc\xa3";

static void put_token(struct buf *b, struct str c, const char *suffix, int *id)
{
    buf_putc(b, *id ? ',' : ' ');
    buf_putc(b, '"');
    if (c.n == 1 && (*c.p == '"' || *c.p == '\\'))
        buf_putc(b, '\\');
    buf_addstr(b, c);
    buf_printf(b, "%s\":%d", suffix, (*id)++);
}

static void put_vocab(struct buf *b)
{
    int id = 0;
    for (int i = 0; i < 2; i++) {
        for (char c = ' '; c <= '~'; c++)
            put_token(b, (struct str){&c, 1}, i ? "|" : "", &id);
        for (const char *p = others; *p;) {
            size_t n = 1;
            while (((unsigned char)p[n] & 0xc0) == 0x80)
                n++;
            put_token(b, (struct str){p, n}, i ? "|" : "", &id);
            p += n;
        }
    }
}

static struct tokenizer *load_steps(const struct step_case *c, struct err *e)
{
    struct buf b = {0};
    buf_printf(&b, "{`version`:`1.0`,`normalizer`:%s,`pre_tokenizer`:%s,",
               c->normalizer ? c->normalizer : "null", c->pre ? c->pre : "null");
    buf_puts(&b, "`decoder`:{`type`:`Fuse`},`model`:{`type`:`BPE`,`merges`:[],"
                 "`end_of_word_suffix`:`|`,`vocab`:{");
    for (size_t i = 0; i < b.n; i++)
        if (b.p[i] == '`')
            b.p[i] = '"';
    put_vocab(&b);
    buf_puts(&b, "}}}");
    struct tokenizer *t = load_bytes(buf_str(&b), e);
    buf_release(&b);
    return t;
}

static void check(const struct step_case *c)
{
    struct err e = {0};
    struct ids ids = {0};
    struct buf got = {0};
    struct tokenizer *t = load_steps(c, &e);
    CHECK_MSG(t != NULL, "%s", e.text);
    if (!t)
        return;
    struct tokenizer_work *w = tokenizer_work_new(t);
    CHECK_MSG(tokenizer_encode(t, w, str_of(c->text), false, &ids, &e) == 0, "%s", e.text);
    tokenizer_decode(t, w, ids.v, ids.n, false, &got);
    CHECK_MSG(str_is(buf_str(&got), c->want), "%s %s on \"%s\": \"%s\", not \"%s\"",
              c->normalizer ? c->normalizer : "", c->pre ? c->pre : "", c->text,
              got.p ? got.p : "", c->want);
    ids_release(&ids);
    buf_release(&got);
    tokenizer_work_free(w);
    tokenizer_free(t);
}

int main(void)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(&cases[i]);
    return unit_done("tok_steps");
}
