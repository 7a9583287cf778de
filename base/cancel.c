#include "base/cancel.h"

#include <stdatomic.h>

static atomic_int requested; /* lock-free, so that a signal handler may set it */
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "the cancel flag is set from a signal handler");

void cancel_request(void)
{
    atomic_store(&requested, 1);
}

void cancel_clear(void)
{
    atomic_store(&requested, 0);
}

bool cancel_requested(void)
{
    return atomic_load_explicit(&requested, memory_order_relaxed) != 0;
}

int cancel_check(err *e)
{
    return cancel_requested() ? err_set(e, ERR_CANCELLED, "cancelled") : 0;
}
