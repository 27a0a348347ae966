/* What newlib asks of a system: a heap, and files, of which there are none. */
#include <errno.h>
#include <sys/stat.h>

#include "board.h"
#include "semihosting.h"

static uint8_t heap[16 * 1024] __attribute__((aligned(8)));
static uint32_t heap_end;

void *_sbrk(ptrdiff_t bytes);
_Noreturn void _exit(int code);
int _close(int file);
int _fstat(int file, struct stat *status);
int _getpid(void);
int _isatty(int file);
int _kill(int process, int signal);
int _lseek(int file, int offset, int whence);
int _read(int file, char *data, int room);
int _write(int file, const char *data, int length);

/* newlib's malloc never gives memory back to the system, so that the end of the heap is its high-water mark. */
void *_sbrk(ptrdiff_t bytes) {
    if (bytes < 0 || (uint32_t)bytes > sizeof heap - heap_end) {
        errno = ENOMEM;
        return (void *)-1;
    }
    void *block = heap + heap_end;
    heap_end += (uint32_t)bytes;
    return block;
}

uint32_t heap_used(void) { return heap_end; }

_Noreturn void _exit(int code) { host_exit(code); }

static int no_file(void) {
    errno = EBADF;
    return -1;
}
int _close(int file) { return (void)file, no_file(); }
int _fstat(int file, struct stat *status) { return (void)file, (void)status, no_file(); }
int _getpid(void) { return 1; }
int _isatty(int file) { return (void)file, 0; }
int _kill(int process, int signal) { return (void)process, (void)signal, no_file(); }
int _lseek(int file, int offset, int whence) { return (void)file, (void)offset, (void)whence, no_file(); }
int _read(int file, char *data, int room) { return (void)file, (void)data, (void)room, no_file(); }
int _write(int file, const char *data, int length) { return (void)file, (void)data, (void)length, no_file(); }
