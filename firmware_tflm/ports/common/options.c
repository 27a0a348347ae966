#include "options.h"

#include <stddef.h>
#include <string.h>

static bool number(const char *text, uint32_t *value) {
    uint64_t sum = 0;
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        sum = sum * 10 + (uint64_t)(*text - '0');
        if (sum > UINT32_MAX)
            return false;
    }
    *value = (uint32_t)sum;
    return true;
}

static bool text(const char *value, const char **to) {
    *to = value;
    return *value != '\0';
}

static bool flag(const char *value, const char *meaning, bool *to) { return *to = strcmp(value, meaning) == 0; }

static const char *value_of(const char *word, const char *key) {
    size_t length = strlen(key);
    return strncmp(word, key, length) == 0 && word[length] == '=' ? word + length + 1 : NULL;
}

bool options_word(const char *word, struct options *options) {
    const char *value;
    if ((value = value_of(word, "flash")) != NULL)
        return text(value, &options->flash);
    if ((value = value_of(word, "link")) != NULL)
        return text(value, &options->link);
    if ((value = value_of(word, "runtime")) != NULL)
        return text(value, &options->runtime);
    if ((value = value_of(word, "class")) != NULL)
        return text(value, &options->hardware_class);
    if ((value = value_of(word, "arena")) != NULL)
        return number(value, &options->arena);
    if ((value = value_of(word, "slot")) != NULL)
        return number(value, &options->slot);
    if ((value = value_of(word, "sector")) != NULL)
        return number(value, &options->sector);
    if ((value = value_of(word, "write")) != NULL)
        return number(value, &options->write);
    if ((value = value_of(word, "cut")) != NULL)
        return number(value, &options->cut);
    if ((value = value_of(word, "worn")) != NULL)
        return options->worn_given = number(value, &options->worn);
    if ((value = value_of(word, "readonly")) != NULL)
        return flag(value, "1", &options->read_only);
    if ((value = value_of(word, "entropy")) != NULL)
        return flag(value, "none", &options->no_entropy);
    if ((value = value_of(word, "predict")) != NULL)
        return flag(value, "1", &options->predict);
    if ((value = value_of(word, "clock")) != NULL) {
        options->clock = strcmp(value, "backwards") == 0 ? CLOCK_BACKWARDS : CLOCK_FROZEN;
        return options->clock == CLOCK_BACKWARDS || strcmp(value, "frozen") == 0;
    }
    return false;
}

const char *options_line(char *line, struct options *options) {
    for (char *word = line; word != NULL;) {
        char *space = strchr(word, ' ');
        if (space != NULL)
            *space++ = '\0';
        if (*word != '\0' && !options_word(word, options))
            return word;
        word = space;
    }
    return NULL;
}
