/* kill.c - kills runs at random moments, runs the same command again, and compares.
 *
 *     kill KILLS SEED [SCENE]    in an empty folder; the tools on the PATH, MILLRACE the source
 * tree
 *
 * A kill counts when its victim, any process of the run, was alive.  Behind each kill no file
 * may stand under its final name but a whole one; then the command is run again, is sometimes
 * killed again, and must in the end give the bytes of a run that nobody disturbed.
 */
#include <dirent.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STUB "sed 's/}$/,\"response\":{\"text\":\"t\"}}/'"
#define INFER                                                                           \
    "shard -q --done 'out.jsonl*' few.jsonl | render-prompt -q -t \"$MILLRACE\"/data/"  \
    "templates/combined_v1.json -s combined_optimized | gpu-infer -q -m \"$MILLRACE\"/" \
    "data/models/router --date 2026-01-01 -o out.jsonl"
#define RUN "make -s -C \"$MILLRACE\" run RUN=$PWD/run DATA=$PWD/few.jsonl GPUS=2 > log 2>&1"

/* Shell commands: what is run, whether what lies there is whole, whether all is right, and what
 * takes it away again. */
static const struct scene {
    const char *name, *run, *whole, *check, *clean, *prepare;
    int share; /* of 100 kills */
} scenes[] = {
    {"shard -o", "shard -q -n 3 -o 'p-%d' big.jsonl",
     "for k in 0 1 2; do [ ! -e p-$k ] || cmp p-$k want-$k || exit 1; done",
     "gather -q p-0 p-1 p-2 | cmp - big.jsonl", "rm -f p-*", "true", 25},
    {"gather -o", "gather -q -o r.jsonl want-0 want-1 want-2",
     "[ ! -e r.jsonl ] || cmp r.jsonl big.jsonl", "cmp r.jsonl big.jsonl", "rm -f r.jsonl*",
     "true", 25},
    {"pipe", "shard -q big.jsonl | " STUB " | gather -q --expect 6000 -o r.jsonl",
     "[ ! -e r.jsonl ] || cmp r.jsonl answers", "cmp r.jsonl answers", "rm -f r.jsonl*", "true",
     20},
    {"shard -e",
     "shard -q -n 3 -e \""
     "sed 's/}$/,\\\"response\\\":{\\\"text\\\":\\\"t\\\"}}/'"
     "\" big.jsonl | gather -q --expect 6000 -o r.jsonl",
     "[ ! -e r.jsonl ] || cmp r.jsonl answers", "cmp r.jsonl answers", "rm -f r.jsonl*", "true",
     16},
    {"gpu-infer -o", INFER, "[ ! -e out.jsonl ] || gather -q --partial out.jsonl > /dev/null",
     "gather -q out.jsonl | cmp - inferred", "rm -f out.jsonl*",
     INFER " && gather -q out.jsonl > inferred", 10},
    {"make run", RUN, "[ ! -e run/few/results.jsonl ] || cmp run/few/results.jsonl ran",
     "cmp run/few/results.jsonl ran", "rm -rf run", RUN " && cp run/few/results.jsonl ran", 4},
};

static uint64_t state;

static uint64_t below(uint64_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % n;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static pid_t start(const char *command)
{
    pid_t pid = fork();
    if (pid == 0) {
        setsid();
        if (!freopen("stderr", "w", stderr))
            _exit(126);
        execlp("bash", "bash", "-o", "pipefail", "-c", command, (char *)NULL);
        _exit(127);
    }
    return pid;
}

static int run(const char *command)
{
    int status;
    pid_t pid = start(command);
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* A process of the session that is alive, each equally likely; all of them are ended with
 * `all`.  0 where there is none. */
static pid_t pick(pid_t session, int all)
{
    DIR *d = opendir("/proc");
    pid_t found = 0;
    uint64_t n = 0;
    for (struct dirent *f; d && (f = readdir(d));) {
        char path[300], text[512] = "", st;
        int ppid, group, sid;
        pid_t pid = (pid_t)atoi(f->d_name);
        snprintf(path, sizeof path, "/proc/%s/stat", f->d_name);
        FILE *in = pid > 0 ? fopen(path, "r") : NULL;
        if (!in)
            continue;
        const char *at = fgets(text, sizeof text, in) ? strrchr(text, ')') : NULL;
        fclose(in);
        if (!at || sscanf(at + 1, " %c %d %d %d", &st, &ppid, &group, &sid) != 4)
            continue;
        if (sid != session || st == 'Z' || st == 'X')
            continue;
        if (all)
            kill(pid, SIGKILL);
        if (below(++n) == 0)
            found = pid;
    }
    if (d)
        closedir(d);
    return found;
}

/* Runs the command and kills one process, or all, at a moment below `most` seconds.  1 where
 * the kill found its victim alive. */
static int kill_run(const char *command, double most)
{
    int status, landed = 0;
    pid_t pid = start(command);
    useconds_t wait = (useconds_t)(most * 1e6 * (double)below(1000) / 1000);
    usleep(wait);
    if (waitpid(pid, &status, WNOHANG) != 0)
        return 0;
    int all = below(2) == 0;
    pid_t victim = pick(pid, 0);
    if (victim > 0 && kill(victim, SIGKILL) == 0)
        landed = 1;
    while (all && pick(pid, 1) > 0)
        usleep(200);
    waitpid(pid, &status, 0);
    /* The rest of the pipe may still be at work. */
    for (double from = now(); pick(pid, 0) > 0;) {
        usleep(500);
        if (now() - from > 20)
            pick(pid, 1);
    }
    return landed;
}

static int failed(const struct scene *s, const char *what, int n)
{
    printf("kill: %s: %s, after %d kills\n", s->name, what, n);
    return 1;
}

static int play(const struct scene *s, int kills)
{
    int landed = 0, tries = 0;
    run(s->clean);
    if (run(s->prepare) != 0)
        return failed(s, "cannot be prepared", 0);
    run(s->clean);
    double from = now();
    if (run(s->run) != 0 || run(s->check) != 0)
        return failed(s, "fails with nobody disturbing it", 0);
    double most = (now() - from) * 1.05;
    while (landed < kills) {
        run(s->clean);
        for (uint64_t k = 1 + below(3); k > 0 && landed < kills; k--) {
            landed += kill_run(s->run, most);
            if (run(s->whole) != 0)
                return failed(s, "a file under its final name is not whole", landed);
        }
        if (run(s->run) != 0)
            return failed(s, "the same command does not succeed", landed);
        if (run(s->check) != 0)
            return failed(s, "the result differs", landed);
        if (++tries > 20 * kills + 20)
            return failed(s, "kills come too late", landed);
    }
    run(s->clean);
    printf("kill: %s: %d kills landed in %d runs, nothing lost, double or torn\n", s->name,
           landed, tries);
    fflush(stdout);
    return 0;
}

static const char prepare[] =
    "awk 'BEGIN { for (i = 0; i < 6000; i++) printf "
    "\"{\\\"id\\\":%d,\\\"text\\\":\\\"%0200d\\\"}"
    "\\n\", i, i }' > big.jsonl && head -12 \"$MILLRACE\"/data/unified.jsonl > few.jsonl &&"
    "shard -q -n 3 -o 'want-%d' big.jsonl && shard -q big.jsonl | " STUB
    " | gather -q > answers";

int main(int argc, char **argv)
{
    int passed = 0, bad = 0;
    if (argc < 3 || !getenv("MILLRACE")) {
        fprintf(stderr, "usage: MILLRACE=TREE kill KILLS SEED [SCENE]\n");
        return 64;
    }
    int kills = atoi(argv[1]);
    state = strtoull(argv[2], NULL, 10) * 2654435769u + 88172645463325252u;
    if (run(prepare) != 0) {
        printf("kill: 0 passed, 1 failed, 0 skipped (preparing failed)\n");
        return 1;
    }
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++) {
        if (argc > 3 && strcmp(argv[3], scenes[i].name))
            continue;
        if (play(&scenes[i], (kills * scenes[i].share + 99) / 100))
            bad++;
        else
            passed++;
    }
    printf("kill: %d passed, %d failed, 0 skipped\n", passed, bad);
    return bad > 0;
}
