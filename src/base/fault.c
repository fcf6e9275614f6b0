/* SPDX-License-Identifier: MIT */
#include "base/fault.h"

#ifdef ERRAND_FAULTS
struct fault errand_fault;
#else
typedef int fault_is_compiled_out;
#endif
