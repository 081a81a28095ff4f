/* What the generated bindings need of <string.h>; see libc.c. */
#ifndef PRINTER_STRING_H
#define PRINTER_STRING_H
#include <stddef.h>
void *memcpy(void *to, const void *from, size_t len);
void *memset(void *to, int byte, size_t len);
size_t strlen(const char *text);
#endif
