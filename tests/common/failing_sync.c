/* Loaded in front of the C library, this makes every sync of a file fail as on a broken disk, while the file that the
 * environment variable FAILING_SYNC names is there. */
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fails(void) {
    const char *flag = getenv("FAILING_SYNC");
    if (flag == NULL || access(flag, F_OK) != 0) return 0;
    errno = EIO;
    return 1;
}

int fsync(int fd) {
    return fails() ? -1 : (int) syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
    return fails() ? -1 : (int) syscall(SYS_fdatasync, fd);
}
