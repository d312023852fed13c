/* train-kill.c - runs a training command to its end, killing it on the way.
 *
 *     train-kill KILLS SEED COMMAND...
 *
 * SIGKILL comes after a random time between none and a little more than a whole run; the same
 * command is started again until KILLS kills have landed, and then once more to its end.  A
 * command that ends by itself before that counts as no kill: OUT (what follows -o) and its
 * checkpoints are then taken away, except in the last round.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static uint64_t state;

static double draw(void)
{
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

static pid_t start(char **command)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stdout))
            _exit(127);
        execvp(*command, command);
        _exit(127);
    }
    return pid;
}

/* Its status, or -1 where it was killed at `end`. */
static int wait_until(pid_t pid, double end)
{
    int status;
    for (;;) {
        pid_t got = waitpid(pid, &status, WNOHANG);
        if (got == pid)
            break;
        if (now() >= end) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            break;
        }
        nanosleep(&(struct timespec){0, 200000}, NULL);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void remove_output(char **command)
{
    for (char **a = command; *a; a++) {
        if (strcmp(*a, "-o") || !a[1])
            continue;
        char shell[4096];
        snprintf(shell, sizeof shell, "rm -rf '%s' '%s.ckpt'", a[1], a[1]);
        if (system(shell))
            exit(1);
    }
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 64;
    long kills = atol(argv[1]), landed = 0, whole = 0;
    char **command = argv + 3;
    state = (uint64_t)atoll(argv[2]);
    double begin = now();
    int status = wait_until(start(command), begin + 600);
    double length = now() - begin;
    remove_output(command);
    while (status == 0 && landed < kills) {
        status = wait_until(start(command), now() + draw() * 0.6 * length);
        if (status > 0)
            break;
        landed += status < 0;
        if (status == 0 && landed < kills) {
            remove_output(command);
            whole++;
        }
        status = 0;
    }
    if (status == 0)
        status = wait_until(start(command), now() + 600);
    printf("%ld kills, %ld whole runs between, a run takes %.2f s\n", landed, whole, length);
    if (status)
        fprintf(stderr, "train-kill: the command ended with status %d\n", status);
    return status != 0;
}
