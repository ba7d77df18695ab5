/* CRC-32C (Castagnoli, RFC 3385 appendix B), by the processor's instruction where it has one. Pure. */
#ifndef SEALPOST_SMTP_CRC32C_H
#define SEALPOST_SMTP_CRC32C_H

#include "base/slice.h"

/* Of `bytes`, continuing from `crc` (0 to begin). */
uint32_t crc32c(uint32_t crc, struct slice bytes);

#endif
