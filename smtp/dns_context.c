/* See smtp/dns_context.h. */
#include "smtp/dns_context.h"

static int each(struct ub_ctx *ctx, const struct setting_value *list,
                int (*add)(struct ub_ctx *ctx, const char *text))
{
    char text[SETTING_VALUE_MAX + 1];
    struct slice item;
    int error = 0;
    for (size_t i = 0; error == 0 && setting_text_at(list, i, &item); i++) {
        memcpy(text, item.data, item.len);
        text[item.len] = '\0';
        error = add(ctx, text);
    }
    return error;
}

static int set_up(struct ub_ctx *ctx, const struct setting_value *resolvers,
                  const struct setting_value *anchors)
{
    int error = ub_ctx_debugout(ctx, NULL); /* what it has to say comes with the result */
    if (error == 0) {
        error = ub_ctx_async(ctx, 1);
    }
    if (error == 0 && resolvers->text.len == 0) {
        error = ub_ctx_resolvconf(ctx, NULL);
    } else if (error == 0) {
        error = each(ctx, resolvers, ub_ctx_set_fwd);
    }
    if (error == 0) { /* a resolver on this machine */
        error = ub_ctx_set_option(ctx, "do-not-query-localhost:", "no");
    }
    return error != 0 ? error : each(ctx, anchors, ub_ctx_add_ta);
}

enum status dns_context_new(const struct setting_value *resolvers, const struct setting_value *anchors,
                            struct ub_ctx **out, struct failure *f)
{
    struct ub_ctx *ctx = ub_ctx_create();
    if (ctx == NULL) {
        return failure_set(f, STATUS_NO_MEMORY, "no memory for a look-up");
    }
    int error = set_up(ctx, resolvers, anchors);
    if (error != 0) {
        ub_ctx_delete(ctx);
        return failure_set(f, STATUS_INVALID, "dns.resolvers or dns.trust_anchors cannot be used: %s",
                           ub_strerror(error));
    }
    *out = ctx;
    return STATUS_OK;
}
