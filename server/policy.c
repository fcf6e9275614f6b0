/* SPDX-License-Identifier: MIT */
/* Rules: all that match apply, a later one goes before an earlier one. */
#include "policy.h"

#include <string.h>

static bool applies(const struct config_rule *rule, const char *path, size_t length, struct pattern_match *match)
{
    return pattern_match(rule->pattern.bytes, rule->pattern.length, path, length, match);
}

static void set(bool *what, enum config_switch said)
{
    if (said != CONFIG_UNSET)
        *what = said == CONFIG_ON;
}

void policy_of(const struct config_host *host, const char *path, size_t length, struct policy *policy)
{
    *policy = (struct policy){.listing = host->listing, .hidden = host->hidden, .writable = host->writable};
    for (unsigned i = 0; i < host->rule_count; i++) {
        const struct config_rule *rule = &host->rules[i];
        if (!applies(rule, path, length, NULL))
            continue;
        set(&policy->deny, rule->deny);
        set(&policy->listing, rule->listing);
        set(&policy->hidden, rule->hidden);
        set(&policy->writable, rule->writable);
        policy->headers = policy->headers || rule->headers.length > 0;
        policy->rate = rule->rate != 0 ? rule->rate : policy->rate;
        policy->redirect = rule->redirect != 0 ? rule : policy->redirect;
        policy->origins = rule->origins.count > 0 ? rule : policy->origins;
        policy->type = rule->type.length > 0 ? rule : policy->type;
        if (rule->users.bytes != NULL) {
            policy->users = rule;
            policy->users_rule = i;
        }
    }
}

static bool differs(enum config_switch said, bool is)
{
    return said != CONFIG_UNSET && (said == CONFIG_ON) != is;
}

/* A later rule that is for all may say the same as before again: that counts as a difference, too, which is safe. */
bool policy_is_mixed(const struct config_host *host, const char *path, size_t length, const struct policy *policy)
{
    for (unsigned i = 0; i < host->rule_count; i++) {
        const struct config_rule *rule = &host->rules[i];
        bool other = differs(rule->deny, policy->deny) || differs(rule->hidden, policy->hidden) ||
                     differs(rule->writable, policy->writable) || rule->redirect != 0 ||
                     (rule->users.bytes != NULL && rule != policy->users);
        if (other && pattern_reach(rule->pattern.bytes, rule->pattern.length, path, length) == PATTERN_SOME)
            return true;
    }
    return false;
}

size_t policy_headers(const struct config_host *host, const char *path, size_t length, char *out)
{
    size_t size = 0;
    for (unsigned i = 0; i < host->rule_count; i++) {
        const struct config_rule *rule = &host->rules[i];
        if (rule->headers.length == 0 || !applies(rule, path, length, NULL))
            continue;
        if (out != NULL)
            memcpy(out + size, rule->headers.bytes, rule->headers.length);
        size += rule->headers.length;
    }
    return size;
}

size_t policy_target(const struct config_rule *rule, const char *path, size_t length, char *out)
{
    struct pattern_match match = {0};
    size_t size = 0;
    applies(rule, path, length, &match);
    for (const char *at = rule->to.bytes; *at != '\0';) {
        unsigned star = at[0] == '$' && at[1] >= '1' && at[1] <= '9' ? (unsigned)(at[1] - '1') : match.count;
        const char *from = star < match.count ? path + match.stars[star].at : at;
        size_t n = star < match.count ? match.stars[star].length : 1;
        if (out != NULL)
            memcpy(out + size, from, n);
        size += n;
        at += star < match.count ? 2 : 1;
    }
    return size;
}
