/* fault.c - makes one call of a program fail; to be loaded with LD_PRELOAD.
 *
 *     FAULT=CALL:N:HOW   CALL is read, write, fsync, rename, close, mmap or malloc; the N-th
 * one from main() on fails.  HOW is an errno's number, or "short". FAULT_HIT=PATH     made when
 * it does
 *
 * Standard error is left alone: the message must get out.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What glibc's allocator is called inside. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

static const char *call;
static long countdown;
static int how; /* 0: short */

__attribute__((constructor)) static void begin(void)
{
    static char name[16];
    const char *text = getenv("FAULT");
    char word[16];
    if (!text || sscanf(text, "%15[^:]:%ld:%15s", name, &countdown, word) != 3)
        return;
    how = atoi(word);
    call = name;
}

/* Whether this call is the one. */
static int fails(const char *name)
{
    if (!call || strcmp(call, name) || __atomic_sub_fetch(&countdown, 1, __ATOMIC_RELAXED))
        return 0;
    const char *hit = getenv("FAULT_HIT");
    if (hit)
        syscall(SYS_close, (int)syscall(SYS_openat, AT_FDCWD, hit, O_WRONLY | O_CREAT, 0666));
    errno = how;
    return 1;
}

ssize_t read(int fd, void *to, size_t n)
{
    if (n && fails("read")) {
        if (how)
            return -1;
        n = 1;
    }
    return syscall(SYS_read, fd, to, n);
}

ssize_t pread(int fd, void *to, size_t n, off_t at)
{
    if (n && fails("read")) {
        if (how)
            return -1;
        n = 1;
    }
    return syscall(SYS_pread64, fd, to, n, at);
}

ssize_t write(int fd, const void *from, size_t n)
{
    if (n && fd != STDERR_FILENO && fails("write")) {
        if (how)
            return -1;
        n = 1;
    }
    return syscall(SYS_write, fd, from, n);
}

int fsync(int fd)
{
    return fails("fsync") ? -1 : (int)syscall(SYS_fsync, fd);
}

int rename(const char *from, const char *to)
{
    return fails("rename") ? -1 : (int)syscall(SYS_rename, from, to);
}

int close(int fd)
{
    int failed = fd != STDERR_FILENO && fails("close"), e = errno;
    int rc = (int)syscall(SYS_close, fd);
    errno = failed ? e : errno;
    return failed ? -1 : rc;
}

void *mmap(void *p, size_t n, int prot, int flags, int fd, off_t at)
{
    if (fails("mmap"))
        return MAP_FAILED;
    return (void *)syscall(SYS_mmap, p, n, prot, flags, fd, at);
}

void *malloc(size_t n)
{
    return fails("malloc") ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    return fails("malloc") ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    return fails("malloc") ? NULL : __libc_realloc(p, n);
}
