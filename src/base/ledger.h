/* SPDX-License-Identifier: MIT */
/*
 * The ledger of memory that the kernel may write to or read from: no sanitizer sees the kernel do so. Built with
 * AddressSanitizer, memory that the kernel writes to is poisoned while it does, so whoever touches it is caught at
 * once, and when it comes back its shadow must be as it was left: freed or reused meanwhile, it is not. In other
 * builds everything here is nothing.
 */
#ifndef BASE_LEDGER_H
#define BASE_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)

#include <sanitizer/asan_interface.h>

#define LEDGER_GRANULE  8
#define LEDGER_POISONED 0xf7 /* what AddressSanitizer writes for memory that was poisoned by hand */

/* The whole granules in it: what shares one with other memory stays as it is. */
static inline bool ledger_inside(const void *memory, size_t size, uintptr_t *from, uintptr_t *to)
{
    *from = ((uintptr_t)memory + LEDGER_GRANULE - 1) & ~(uintptr_t)(LEDGER_GRANULE - 1);
    *to = ((uintptr_t)memory + size) & ~(uintptr_t)(LEDGER_GRANULE - 1);
    return *from < *to && *to < UINT64_C(1) << 47; /* beyond, no program has memory: the kernel will say so */
}

/* It was freed, or is another's, while the kernel had it: a report of AddressSanitizer's, which ends the program. */
static inline void ledger_broken(const void *memory, size_t size)
{
    __asan_report_error(__builtin_return_address(0), __builtin_frame_address(0), __builtin_frame_address(0),
                        (void *)(uintptr_t)memory, 0, size);
}

/* The kernel will write to it. */
static inline void ledger_lend(const void *memory, size_t size)
{
    uintptr_t from, to;
    if (ledger_inside(memory, size, &from, &to) && !__asan_region_is_poisoned((void *)from, to - from))
        __asan_poison_memory_region((void *)from, to - from);
}

/* It is back. */
static inline __attribute__((no_sanitize("address"))) void ledger_return(const void *memory, size_t size)
{
    uintptr_t from, to, scale, offset;
    if (!ledger_inside(memory, size, &from, &to))
        return;
    __asan_get_shadow_mapping(&scale, &offset);
    for (uintptr_t at = from; at < to; at += LEDGER_GRANULE) {
        if (*(const unsigned char *)((at >> scale) + offset) != LEDGER_POISONED) {
            ledger_broken(memory, size);
            break;
        }
    }
    __asan_unpoison_memory_region((void *)from, to - from);
}

/* The kernel has read it: it must still be there. */
static inline void ledger_check(const void *memory, size_t size)
{
    if (size > 0 && __asan_region_is_poisoned((void *)(uintptr_t)memory, size))
        ledger_broken(memory, size);
}

#else

static inline void ledger_lend(const void *memory, size_t size)
{
    (void)memory;
    (void)size;
}

static inline void ledger_return(const void *memory, size_t size)
{
    (void)memory;
    (void)size;
}

static inline void ledger_check(const void *memory, size_t size)
{
    (void)memory;
    (void)size;
}

#endif
#endif
