#include "its_store.h"

#include <psa/crypto.h>
#include <string.h>

#include "device/store.h"
#include "psa/internal_trusted_storage.h"

static struct dl_store keys;

int its_store_open(const struct dunlin_flash *flash, const struct dunlin_board *board, uint32_t offset, uint32_t size) {
    return dl_store_open(&keys, flash, board, offset, size);
}

/* The identifier of a key is the number of its record: those of struct dunlin_port are small. */
static bool has_record(psa_storage_uid_t uid) { return uid >= 1 && uid <= 0x7fff && keys.flash != NULL; }

static struct dunlin_span find(psa_storage_uid_t uid) {
    struct dunlin_span none = {NULL, 0};
    return has_record(uid) ? dl_store_get(&keys, (uint16_t)uid) : none;
}

psa_status_t psa_its_set(psa_storage_uid_t uid, uint32_t data_length, const void *p_data,
                         psa_storage_create_flags_t create_flags) {
    if (!has_record(uid) || create_flags != PSA_STORAGE_FLAG_NONE || data_length == 0)
        return PSA_ERROR_NOT_SUPPORTED;
    switch (dl_store_put(&keys, (uint16_t)uid, p_data, data_length, false)) {
    case DUNLIN_OK:
        return PSA_SUCCESS;
    case DUNLIN_E_FULL:
        return PSA_ERROR_INSUFFICIENT_STORAGE;
    default:
        return PSA_ERROR_STORAGE_FAILURE;
    }
}

psa_status_t psa_its_get(psa_storage_uid_t uid, uint32_t data_offset, uint32_t data_length, void *p_data,
                         size_t *p_data_length) {
    struct dunlin_span data = find(uid);
    if (data.size == 0)
        return PSA_ERROR_DOES_NOT_EXIST;
    if (data_offset > data.size || data_length > data.size - data_offset)
        return PSA_ERROR_INVALID_ARGUMENT;
    memcpy(p_data, data.data + data_offset, data_length);
    *p_data_length = data_length;
    return PSA_SUCCESS;
}

psa_status_t psa_its_get_info(psa_storage_uid_t uid, struct psa_storage_info_t *p_info) {
    struct dunlin_span data = find(uid);
    if (data.size == 0)
        return PSA_ERROR_DOES_NOT_EXIST;
    p_info->size = (uint32_t)data.size;
    p_info->flags = PSA_STORAGE_FLAG_NONE;
    return PSA_SUCCESS;
}

/* A destroyed key must be gone from flash, not just forgotten: the journal is written anew without it and its old area
 * erased. Power may fail in between: the key is then still there to be destroyed, or goes when the store is opened. */
psa_status_t psa_its_remove(psa_storage_uid_t uid) {
    if (find(uid).size == 0)
        return PSA_ERROR_DOES_NOT_EXIST;
    return dl_store_scrub(&keys, (uint16_t)uid) == DUNLIN_OK ? PSA_SUCCESS : PSA_ERROR_STORAGE_FAILURE;
}
