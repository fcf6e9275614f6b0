/* SPDX-License-Identifier: MIT */
/* What a scene puts into a simulated world, and finds in it: see sim.h. */
#include "backend/sim/world.h"

#include <stdio.h>
#include <sys/stat.h>

static struct inode *make(struct sim *sim, unsigned directory, unsigned name, unsigned mode)
{
    int inode = inode_new(sim, mode, directory);
    if (inode < 0 || sim->names[directory][name])
        complain(sim, "the scene has no room for n%u", name);
    sim->inodes[inode].links = 1;
    sim->names[directory][name] = (uint16_t)(inode + 1);
    return &sim->inodes[inode];
}

void sim_make_file(struct sim *sim, unsigned directory, unsigned name, int64_t size)
{
    make(sim, directory, name, S_IFREG | 0644)->size = size;
}

void sim_make_fifo(struct sim *sim, unsigned directory, unsigned name)
{
    make(sim, directory, name, S_IFIFO | 0644);
}

void sim_make_link(struct sim *sim, unsigned directory, unsigned name, unsigned target)
{
    struct inode *link = make(sim, directory, name, S_IFLNK | 0777);
    link->target_directory = (int8_t)directory;
    link->target_name = (uint8_t)target;
    snprintf(link->target, sizeof link->target, "n%u", target);
}

bool sim_look(const struct sim *sim, unsigned directory, unsigned name, struct errand_stat *out)
{
    unsigned inode = sim->names[directory][name];
    if (inode)
        stat_fill(sim, inode - 1, out);
    return inode != 0;
}

void sim_peer(struct sim *sim, int socket, bool stays, bool deaf)
{
    sim->fds[socket].stays = stays;
    sim->fds[socket].deaf = deaf;
}

void sim_connect(struct sim *sim, int listener, uint64_t to_receive, bool stays)
{
    sim->fds[listener].left++;
    sim->fds[listener].received = to_receive;
    sim->fds[listener].stays = stays;
}

void sim_hang(struct sim *sim, unsigned directory)
{
    sim->hangs_until[directory] = HEAP_NEVER / 4;
}
