/* rss.c - runs a command and prints the most memory that it held, in KiB, behind a FILE's end.
 *
 *     rss FILE COMMAND [ARG...]
 */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct rusage used;
    int status;
    if (argc < 3)
        return 64;
    pid_t pid = fork();
    if (pid == 0) {
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    if (pid < 0 || wait4(pid, &status, 0, &used) < 0)
        return 71;
    FILE *out = fopen(argv[1], "a");
    if (!out || fprintf(out, "%ld\n", used.ru_maxrss) < 0 || fclose(out))
        return 74;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
