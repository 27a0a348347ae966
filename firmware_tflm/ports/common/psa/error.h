/* PSA status codes, under the name by which Mbed TLS asks for them when the key storage is the platform's. */
#ifndef PSA_ERROR_H
#define PSA_ERROR_H

#include <psa/crypto_types.h>
#include <psa/crypto_values.h>

#endif
