/* The few functions of a C library that the plugin and its bindings use.
 *
 * Memory: what the host hands over (an event and its texts) is allocated one
 * piece after the other and freed piece by piece. So the allocator only counts
 * what is in use; when nothing is, it begins again at the bottom. What would
 * not fit into the arena ends the plugin, and the host starts it anew.
 */
#include <stddef.h>
#include <stdint.h>
#include "stdlib.h"
#include "string.h"

#define ARENA_BYTES (64 * 1024)
#define ALIGN 16

static _Alignas(ALIGN) uint8_t arena[ARENA_BYTES];
static size_t used;
static size_t pieces;

/* Stands before each piece; keeps pieces aligned. */
typedef struct {
    _Alignas(ALIGN) size_t len;
} head_t;

void *malloc(size_t len)
{
    if (len > ARENA_BYTES - sizeof(head_t) - ALIGN)
        abort();
    size_t whole = sizeof(head_t) + (len + ALIGN - 1) / ALIGN * ALIGN;
    if (whole > ARENA_BYTES - used)
        abort();
    head_t *head = (head_t *)(arena + used);
    head->len = len;
    used += whole;
    pieces++;
    return head + 1;
}

void *realloc(void *old, size_t len)
{
    void *fresh = malloc(len);
    if (old != NULL) {
        size_t had = ((head_t *)old - 1)->len;
        memcpy(fresh, old, had < len ? had : len);
        free(old);
    }
    return fresh;
}

void free(void *old)
{
    if (old == NULL)
        return;
    if (--pieces == 0)
        used = 0;
}

_Noreturn void abort(void)
{
    __builtin_trap();
}

void *memcpy(void *to, const void *from, size_t len)
{
    uint8_t *t = to;
    const uint8_t *f = from;
    while (len-- > 0)
        *t++ = *f++;
    return to;
}

void *memset(void *to, int byte, size_t len)
{
    uint8_t *t = to;
    while (len-- > 0)
        *t++ = (uint8_t)byte;
    return to;
}

size_t strlen(const char *text)
{
    size_t len = 0;
    while (text[len] != '\0')
        len++;
    return len;
}
