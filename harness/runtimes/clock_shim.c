/* The clock of one node: a library that is preloaded into a server and answers in the place of the C library's clocks.
 *
 * How the node's clocks differ from the machine's stands in a file of one page, which is mapped into the server: a change counts
 * from the server's next look at a clock on. Programs that ask the kernel themselves, as those made with Go do, are not fooled,
 * and neither are the kernel's own timers: a server that sleeps for a second sleeps for one of the machine's seconds.
 *
 * It is linked with no library at all: the few functions that it needs come from the server's own C library, whichever that is.
 *
 *     gcc -shared -fPIC -O2 -nostdlib -o clock.so clock_shim.c
 */
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define PAGE "/anachron/clock.page"
#define SECOND 1000000000LL
#define NEXT ((void *)-1L) /* RTLD_NEXT: whoever has the symbol behind us */

/* The file, written from its beginning to its end at once. It is whole while both numbers agree, and of no effect while they are 0. */
struct page {
    int64_t begun;
    int64_t wall;      /* nanoseconds that the wall clock is ahead */
    int64_t monotonic; /* and those that the monotonic clocks are ahead */
    int64_t since;     /* from this time of the machine's monotonic clock on... */
    double rate;       /* ...a second of the machine is so many seconds here */
    int64_t done;
};

typedef int clock_function(clockid_t, struct timespec *);
extern void *dlsym(void *, const char *) __attribute__((weak));

static const volatile struct page *page;
static clock_function *next;

/* Before the server begins. What asks for the time even earlier gets the machine's. */
__attribute__((constructor)) static void begin(void)
{
    long file = syscall(SYS_openat, AT_FDCWD, PAGE, O_RDONLY | O_CLOEXEC, 0);
    if (dlsym)
        next = (clock_function *)dlsym(NEXT, "clock_gettime");
    if (file < 0)
        return;
    long mapped = syscall(SYS_mmap, 0, sizeof(struct page), PROT_READ, MAP_SHARED, file, 0);
    syscall(SYS_close, file);
    if (mapped != -1)
        page = (const volatile struct page *)mapped;
}

static int machine(clockid_t clock, struct timespec *time)
{
    return next ? next(clock, time) : (int)syscall(SYS_clock_gettime, clock, time);
}

static int64_t nanoseconds(const struct timespec *time)
{
    return (int64_t)time->tv_sec * SECOND + time->tv_nsec;
}

/* The page as it was at one moment: its writer goes from begin to end, so the reader goes from end to begin. */
static struct page look(void)
{
    struct page seen;
    do {
        seen.done = page->done;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        seen.wall = page->wall;
        seen.monotonic = page->monotonic;
        seen.since = page->since;
        seen.rate = page->rate;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        seen.begun = page->begun;
    } while (seen.begun != seen.done);
    return seen;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    int failed = machine(clock, time);
    if (failed || !page || !page->done)
        return failed;

    struct page skew = look();
    int64_t ahead;
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_TAI:
        ahead = skew.wall;
        break;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_BOOTTIME:
        ahead = skew.monotonic;
        break;
    default: /* the processor time of a process is no clock on a wall */
        return 0;
    }
    if (skew.rate != 1.0) {
        struct timespec now;
        machine(CLOCK_MONOTONIC, &now);
        ahead += (int64_t)((skew.rate - 1.0) * (double)(nanoseconds(&now) - skew.since));
    }
    int64_t told = nanoseconds(time) + ahead;
    if (told < 0)
        told = 0; /* no clock shows a time before its own beginning */
    time->tv_sec = told / SECOND;
    time->tv_nsec = told % SECOND;
    return 0;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now) == 0) {
        time->tv_sec = now.tv_sec;
        time->tv_usec = now.tv_nsec / 1000;
    }
    return 0;
}

time_t time(time_t *into)
{
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_REALTIME, &now);
    if (into)
        *into = now.tv_sec;
    return now.tv_sec;
}

int timespec_get(struct timespec *time, int base)
{
    return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, time) == 0 ? base : 0;
}
