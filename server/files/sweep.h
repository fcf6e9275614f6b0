/* SPDX-License-Identifier: MIT */
/*
 * What a killed server left is removed at the next start: files and directories that have a name of ours (temporary.h)
 * in the directories of hosts that may be written to. Only what
 *   - is older than this process, which looks a few seconds after its start, so that nothing is met in its making, and
 *   - nobody holds a lock on: another server that serves the directory too, before an upgrade or in another container,
 *     has locked what it uses; a kill ends the lock.
 * Where a filesystem has no locks, nothing is removed. A directory after the other, on chains of worker 0, behind
 * everything else; one that does not answer is passed over.
 */
#ifndef SERVER_FILES_SWEEP_H
#define SERVER_FILES_SWEEP_H

struct remover;
struct worker;

/* Begins it, or not: nothing depends on it. */
void sweep_begin(struct worker *worker, struct remover *remover);

#endif
