#include "device/device.h"

bool dl_key_there(psa_key_id_t key)
{
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    psa_status_t status = psa_get_key_attributes(key, &attributes);

    psa_reset_key_attributes(&attributes);
    return status == PSA_SUCCESS;
}

int dl_key_make(psa_key_id_t key, bool signs)
{
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    psa_key_id_t made;
    psa_status_t status;

    psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_bits(&attributes, 256);
    psa_set_key_usage_flags(&attributes, signs ? PSA_KEY_USAGE_SIGN_HASH : PSA_KEY_USAGE_DERIVE);
    psa_set_key_algorithm(&attributes, signs ? PSA_ALG_DETERMINISTIC_ECDSA(PSA_ALG_SHA_256) : PSA_ALG_ECDH);
    psa_set_key_lifetime(&attributes, PSA_KEY_LIFETIME_PERSISTENT);
    psa_set_key_id(&attributes, key);
    status = psa_generate_key(&attributes, &made);
    psa_reset_key_attributes(&attributes);
    if (status == PSA_ERROR_INSUFFICIENT_ENTROPY)
        return DUNLIN_E_ENTROPY;
    return status == PSA_SUCCESS ? DUNLIN_OK : DUNLIN_E_KEYSTORE;
}

psa_key_id_t dl_kem_key(const struct dl_device *d)
{
    return d->port.kem_key[d->identity.kem & 1];
}
