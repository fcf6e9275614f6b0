/* SPDX-License-Identifier: MIT */
/* Draws steps of names. */
#include "draw.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* What suits the step now; rarely anything. */
static enum wanted wanted_by(struct world *world, unsigned kind)
{
    if (one_in(world, 6))
        return CHANGING;
    switch (kind) {
    case ERRAND_STEP_READ_LINK: return A_SYMLINK;
    case ERRAND_STEP_LINK: return STABLE;
    case ERRAND_STEP_RENAME:
    case ERRAND_STEP_UNLINK: return A_FILE;
    case ERRAND_STEP_RMDIR: return A_DIRECTORY;
    case ERRAND_STEP_REPLACE: return one_in(world, 2) ? A_FILE : FREE;
    default: return FREE;
    }
}

int draw_of_names(struct job *job, errand_chain *chain, unsigned kind)
{
    struct world *world = job->world;
    char path[PATH_SIZE], other[PATH_SIZE];
    bool of_file = kind == ERRAND_STEP_LINK_FILE || kind == ERRAND_STEP_REPLACE;
    int file = of_file ? draw_file(job) : -1, to = -1;
    unsigned directory = of_file && !one_in(world, 8) ? world->drawn : upto(world, SIM_DIRECTORIES);
    int at = draw_where_in(world, path, wanted_by(world, kind), directory);
    if (kind == ERRAND_STEP_RENAME || kind == ERRAND_STEP_LINK)
        to = draw_where_in(world, other, one_in(world, 4) ? CHANGING : FREE,
                           one_in(world, 6) ? upto(world, SIM_DIRECTORIES) : directory);
    switch (kind) {
    case ERRAND_STEP_RENAME: return errand_step_rename(chain, at, path, to, other, one_in(world, 4));
    case ERRAND_STEP_LINK: return errand_step_link(chain, at, path, to, other);
    case ERRAND_STEP_LINK_FILE: return errand_step_link_file(chain, file, at, path);
    case ERRAND_STEP_REPLACE: return errand_step_replace(chain, file, at, path);
    case ERRAND_STEP_SYMLINK: return errand_step_symlink(chain, "n7", at, path);
    case ERRAND_STEP_READ_LINK: {
        struct part *part = take_memory(job, 16, 0, false);
        return part ? errand_step_read_link(chain, at, path, (char *)part->at, 16) : -ENOMEM;
    }
    case ERRAND_STEP_UNLINK: return errand_step_unlink(chain, at, path);
    case ERRAND_STEP_MKDIR: return errand_step_mkdir(chain, at, path, 0755);
    case ERRAND_STEP_RMDIR: return errand_step_rmdir(chain, at, path);
    default: return errand_step_mknod(chain, at, path, S_IFREG | 0600, 0);
    }
}
