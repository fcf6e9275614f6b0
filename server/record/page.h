/* SPDX-License-Identifier: MIT */
/* The status page, made of page.html when this is built. */
#ifndef SERVER_RECORD_PAGE_H
#define SERVER_RECORD_PAGE_H

#include <stddef.h>

extern const char status_page[];
extern const size_t status_page_length;

#endif
