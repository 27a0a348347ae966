/* What the crypto library wants of a platform, for test programs: randomness, and no persistent keys. */
#include <psa/crypto.h>
#include <stdio.h>

#include "psa/internal_trusted_storage.h"
#include "random.h"

int board_random(uint8_t *out, size_t size) {
    FILE *file = fopen("/dev/urandom", "rb");
    const size_t got = file ? fread(out, 1, size, file) : 0;
    if (file) {
        fclose(file);
    }
    return got == size ? 0 : -1;
}

psa_status_t psa_its_set(psa_storage_uid_t uid, uint32_t length, const void *data, psa_storage_create_flags_t flags) {
    (void)uid, (void)length, (void)data, (void)flags;
    return PSA_ERROR_NOT_SUPPORTED;
}

psa_status_t psa_its_get(psa_storage_uid_t uid, uint32_t offset, uint32_t length, void *data, size_t *got) {
    (void)uid, (void)offset, (void)length, (void)data, (void)got;
    return PSA_ERROR_DOES_NOT_EXIST;
}

psa_status_t psa_its_get_info(psa_storage_uid_t uid, struct psa_storage_info_t *info) {
    (void)uid, (void)info;
    return PSA_ERROR_DOES_NOT_EXIST;
}

psa_status_t psa_its_remove(psa_storage_uid_t uid) {
    (void)uid;
    return PSA_ERROR_DOES_NOT_EXIST;
}
