/* chat.h - from a record's messages to the text that the model reads. */
#ifndef CHAT_H
#define CHAT_H

#include "text/jinja.h"

/* How a chat template is found and called; zero is a good start. */
struct chat_options {
    const char *dir;           /* model directory; may be NULL when template_file is given */
    const char *template_file; /* --chat-template FILE; before the directory's own */
    const char **args; /* --template-arg K=V, n_args of them; V is JSON, else a string */
    size_t n_args;
    const char *date; /* --date YYYY-MM-DD[THH:MM:SS]; NULL: the time of chat_open() */
};

struct chat;

/* Template order: template_file, dir/chat_template.jinja, dir/tokenizer_config.json (a string,
 * or a list by name: "default", and "tool_use" for records with tools).  bos_token, eos_token
 * and the other special tokens come from tokenizer_config.json, what it lacks from
 * special_tokens_map.json.  NULL with EXIT_CONFIG, EXIT_NOINPUT where
 * the directory has no template, EXIT_USAGE for a bad date or argument. */
struct chat *chat_open(const struct chat_options *o, struct err *e);
void chat_free(struct chat *c);

/* Appends the prompt for `messages` (raw JSON array); tools and kwargs raw JSON or n = 0.  The
 * members of kwargs go before the template arguments, those before the special tokens.
 * EXIT_DATA when the template refuses the messages. */
int chat_render(const struct chat *c, struct str messages, struct str tools, struct str kwargs,
                bool add_generation_prompt, struct buf *out, struct err *e) MUST_CHECK;

/* As chat_render(), with what the assistant says marked where the template marks it. */
int chat_render_marked(const struct chat *c, struct str messages, struct str tools,
                       struct str kwargs, bool add_generation_prompt, struct buf *out,
                       struct jinja_marks *marks, struct err *e) MUST_CHECK;
/* True where the template for records with or without tools has {% generation %}. */
bool chat_has_marks(const struct chat *c, bool tools);

/* The text that the template writes right after an assistant's answer (for ChatML "<|im_end|>",
 * perhaps with a line end), found by rendering a probe; where it writes nothing behind a last
 * answer, what it writes between an answer and the next question; n = 0 when there is none.
 * Label scoring takes the end token from it.  Borrowed. */
struct str chat_turn_end(const struct chat *c);
/* True for the text of the model's end token, as its files name it. */
bool chat_is_eos(const struct chat *c, struct str token);

/* How much a model is to think, as the OpenAI API has it. */
enum chat_reasoning {
    CHAT_REASONING_UNSET,
    CHAT_REASONING_LOW,
    CHAT_REASONING_MEDIUM,
    CHAT_REASONING_HIGH,
    CHAT_REASONING_NONE,
};
/* The level that a JSON string names; CHAT_REASONING_UNSET: none. */
enum chat_reasoning chat_reasoning_level(struct str json);
/* The template variables that a level stands for (reasoning_effort, enable_thinking, thinking),
 * with kwargs (n = 0: none, else an object), which win, behind them.  Written to *out; where no
 * level is set, kwargs itself. */
struct str chat_reasoning_kwargs(enum chat_reasoning level, struct str kwargs, struct buf *out);

/* Appends what the template writes behind the last turn for the assistant to speak,
 * found by rendering a probe.  False: it writes nothing, or that cannot be told. */
bool chat_generation_prompt(const struct chat *c, struct str kwargs, struct buf *out);
/* Appends what stands between the user's text and the assistant's in a finished conversation.
 */
bool chat_answer_start(const struct chat *c, struct buf *out);
/* True where the template's source holds the text. */
bool chat_mentions(const struct chat *c, struct str text);

/* A text that tells two templates, dates or arguments apart, for keys and manifests. */
uint64_t chat_hash(const struct chat *c);
/* "YYYY-MM-DDTHH:MM:SS", the date in force; borrowed. */
const char *chat_date(const struct chat *c);
/* True when the template calls strftime_now, so that the date matters. */
bool chat_uses_date(const struct chat *c);

#endif
