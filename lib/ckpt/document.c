/* document.c - JSON documents of a model directory, read within bounds. */
#include "ckpt/document.h"

#include "base/file.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A tokenizer or an index of a large model has tens of megabytes at most. */
enum { DOCUMENT_BYTES = 256 << 20 };

/* jansson's own limit is a depth of 2,048, far more than a document of ours has. */
static bool too_deep(const char *p, size_t n)
{
    int depth = 0;
    bool text = false;
    for (size_t i = 0; i < n; i++) {
        if (text && p[i] == '\\')
            i++;
        else if (p[i] == '"')
            text = !text;
        else if (!text && (p[i] == '{' || p[i] == '['))
            depth++;
        else if (!text && (p[i] == '}' || p[i] == ']'))
            depth--;
        if (depth > DOCUMENT_DEPTH)
            return true;
    }
    return false;
}

json_t *document_parse(const char *p, size_t n, const char *name, struct err *e)
{
    json_error_t why;
    if (too_deep(p, n)) {
        err_set(e, EXIT_CONFIG, "%s: nested deeper than %d", name, DOCUMENT_DEPTH);
        return NULL;
    }
    json_t *doc = json_loadb(p, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (doc)
        return doc;
    if (json_error_code(&why) == json_error_out_of_memory)
        err_set(e, EXIT_OS, "%s: out of memory", name);
    else
        err_set(e, EXIT_CONFIG, "%s: line %d: %s", name, why.line, why.text);
    return NULL;
}

json_t *document_read(const char *path, struct err *e)
{
    struct buf b = {0};
    json_t *doc = NULL;
    if (file_read_document(&b, path, DOCUMENT_BYTES, e) == 0)
        doc = document_parse(b.p, b.n, path, e);
    buf_release(&b);
    if (doc && !json_is_object(doc)) {
        err_set(e, EXIT_CONFIG, "%s: not a JSON object", path);
        json_decref(doc);
        doc = NULL;
    }
    return doc;
}
