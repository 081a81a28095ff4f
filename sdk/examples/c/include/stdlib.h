/* What the generated bindings need of <stdlib.h>; see libc.c. */
#ifndef PRINTER_STDLIB_H
#define PRINTER_STDLIB_H
#include <stddef.h>
void *malloc(size_t len);
void *realloc(void *old, size_t len);
void free(void *old);
_Noreturn void abort(void);
#endif
