/* SPDX-License-Identifier: MIT */
/* Room: see room.h. */
#include "room.h"
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>

static int allocate(errand_chain *chain, int file, uint64_t bytes, uint64_t spare)
{
    uint64_t most = INT64_MAX - 1, wanted = spare >= most || bytes >= most - spare ? most : bytes + spare;
    int step = errand_step_allocate(chain, file, FALLOC_FL_KEEP_SIZE, 0, (int64_t)wanted);
    errand_step_optional(chain, step);
    return step;
}

int room_ask(errand_chain *chain, int file, uint64_t bytes, uint64_t spare)
{
    int asked = allocate(chain, file, bytes, spare);
    int step = errand_step_truncate(chain, file, 0);
    return step < 0 ? step : asked;
}

int room_ask_beside(errand_chain *chain, int root, const char *path, uint64_t bytes, uint64_t spare)
{
    const char *parent = place_parent(chain, path);
    if (parent == NULL)
        return -ENOMEM;
    int step = errand_step_open(chain, root, parent, O_TMPFILE | O_WRONLY, 0600);
    errand_step_optional(chain, step);
    int asked = allocate(chain, ERRAND_SLOT(step), bytes, spare);
    step = errand_step_close(chain, ERRAND_SLOT(step));
    errand_step_optional(chain, step);
    return step < 0 ? step : asked;
}

bool room_lacks(const errand_chain *chain, int step)
{
    int64_t result = step >= 0 ? errand_chain_result(chain, step) : 0;
    return result == -ENOSPC || result == -EDQUOT || result == -EFBIG;
}

bool room_is_there(const errand_chain *chain, int step)
{
    return step >= 0 && errand_chain_result(chain, step) >= 0;
}
