/* SPDX-License-Identifier: MIT */
/* A simulated world as its test sees it: descriptors of the test's own, and looks at it from outside. */
#include "backend/sim/world.h"

#include <fcntl.h>
#include <sys/stat.h>

const char *sim_pattern(const struct sim *sim, uint64_t offset)
{
    return sim->pattern + offset % SIM_PERIOD;
}

static int tests_own(struct sim *sim, int fd)
{
    if (fd < 0)
        return -1;
    sim->fds[fd].tests = true;
    sim->library_count--;
    return fd;
}

int sim_directory(struct sim *sim, unsigned directory)
{
    return tests_own(sim, fd_new(sim, OBJECT_INODE, directory));
}

int sim_file(struct sim *sim, unsigned directory, unsigned name)
{
    unsigned inode = sim->names[directory][name];
    if (inode == 0 || !S_ISREG(sim->inodes[inode - 1].mode))
        return -1;
    int fd = tests_own(sim, fd_new(sim, OBJECT_INODE, inode - 1));
    if (fd >= 0)
        sim->fds[fd].access = O_RDWR;
    return fd;
}

int sim_socket(struct sim *sim, uint64_t to_receive)
{
    int fd = tests_own(sim, fd_new(sim, OBJECT_SOCKET, 0));
    if (fd >= 0) {
        sim->fds[fd].left = to_receive;
        sim->fds[fd].connected = to_receive > 0 || sim->options.scene;
    }
    return fd;
}

int sim_listener(struct sim *sim)
{
    return tests_own(sim, fd_new(sim, OBJECT_LISTENER, 0));
}

uint32_t sim_library_descriptors(const struct sim *sim)
{
    return sim->library_count;
}

uint32_t sim_test_descriptors(const struct sim *sim)
{
    return sim->open_count - sim->library_count;
}

uint64_t sim_sent(const struct sim *sim, int fd)
{
    return sim->fds[fd].sent;
}

unsigned sim_kind(const struct sim *sim, unsigned directory, unsigned name)
{
    unsigned inode = sim->names[directory][name];
    return inode ? sim->inodes[inode - 1].mode & S_IFMT : 0;
}

int64_t sim_now(const struct sim *sim)
{
    return sim->now;
}

uint64_t sim_faults(const struct sim *sim)
{
    return sim->faults;
}

void sim_release(struct sim *sim)
{
    for (unsigned i = 0; i < SIM_DIRECTORIES; i++)
        sim->hangs_until[i] = 0;
    for (unsigned i = 0; i < PENDING; i++)
        if (sim->pending[i].run && sim->pending[i].timer.due > sim->now + ERRAND_MILLISECOND)
            heap_set(&sim->heap, &sim->pending[i].timer, sim->now + 1 + (int64_t)below(sim, 100000));
}

void sim_settle(struct sim *sim)
{
    sim->options.hang_chance = 0;
    sim_release(sim);
    while (sim->heap.count > 0) {
        sim->now = heap_due(&sim->heap) > sim->now ? heap_due(&sim->heap) : sim->now;
        let_come(sim);
    }
    if (sim->waiting || sim->running || sim->stuck)
        complain(sim, "%u runs wait, %u are under way, %u are stuck, and nothing moves", sim->waiting, sim->running,
                 sim->stuck);
}
