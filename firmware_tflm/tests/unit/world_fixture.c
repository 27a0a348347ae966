/* The fixture of make_fixture.py: files by name, objects by digest, keys. */
#include "world_parts.h"

#include <psa/crypto.h>
#include <string.h>

enum { OBJECTS = 256, FILES = 64 };

static const char *folder;
static struct {
    uint8_t name[DUNLIN_DIGEST];
    struct dunlin_span data;
} objects[OBJECTS];
static unsigned object_count;

void world_fixture(const char *path) { folder = path; }

struct dunlin_span world_file(const char *name)
{
    static struct {
        char name[32];
        struct dunlin_span data;
    } files[FILES]; /* read once */
    unsigned place = 0;
    char path[512];
    FILE *file;
    uint8_t *data;
    long size;

    while (files[place].data.data && strcmp(files[place].name, name) != 0)
        CHECK(++place < FILES);
    if (files[place].data.data)
        return files[place].data;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "rb");
    if (!file) {
        (void)fprintf(stderr, "%s: not there; tests.firmware.make_fixture writes it\n", path);
        exit(1);
    }
    CHECK(fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0);
    rewind(file);
    data = malloc((size_t)size + 1);
    CHECK(data && fread(data, 1, (size_t)size, file) == (size_t)size);
    (void)fclose(file);
    (void)snprintf(files[place].name, sizeof files[place].name, "%s", name);
    files[place].data = (struct dunlin_span){data, (size_t)size};
    return files[place].data;
}

void world_load_objects(void)
{
    struct dunlin_span all = world_file("objects");
    size_t at = 0;
    uint32_t size;

    for (object_count = 0; at < all.size; object_count++, at += 36 + size) {
        CHECK(object_count < OBJECTS);
        memcpy(objects[object_count].name, all.data + at, DUNLIN_DIGEST);
        memcpy(&size, all.data + at + DUNLIN_DIGEST, sizeof size);
        objects[object_count].data = (struct dunlin_span){all.data + at + 36, size};
    }
}

struct dunlin_span world_object(const uint8_t *name)
{
    unsigned i;

    for (i = 0; i < object_count; i++)
        if (memcmp(objects[i].name, name, DUNLIN_DIGEST) == 0)
            return objects[i].data;
    return (struct dunlin_span){NULL, 0};
}

static void import_key(uint32_t id, const char *name, psa_key_usage_t usage, psa_algorithm_t algorithm)
{
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    struct dunlin_span secret = world_file(name);
    psa_key_id_t key;

    psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_usage_flags(&attributes, usage);
    psa_set_key_algorithm(&attributes, algorithm);
    psa_set_key_id(&attributes, id);
    CHECK(psa_import_key(&attributes, secret.data, secret.size, &key) == PSA_SUCCESS);
}

void world_import_keys(void)
{
    import_key(1, "device.key", PSA_KEY_USAGE_SIGN_HASH, PSA_ALG_DETERMINISTIC_ECDSA(PSA_ALG_SHA_256));
    import_key(2, "device-kem.key", PSA_KEY_USAGE_DERIVE, PSA_ALG_ECDH);
}
