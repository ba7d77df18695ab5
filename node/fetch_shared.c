/* What the fetch role's loop and threads share: the memory of failures and the anchors. Any thread. */
#include "node/fetch_internal.h"

#include "store/store.h"

static enum status trust_refresh(struct fetch_shared *s, struct store_view *view, struct failure *f)
{
    struct trust *trust = NULL;
    uint64_t generation = store_trust_generation(view);
    if (s->trust != NULL && generation == s->trust_generation) {
        trust_look_in(s->trust, view);
        return STATUS_OK;
    }
    enum status status = trust_load(view, &trust, f);
    if (status == STATUS_OK) {
        trust_free(s->trust);
        s->trust = trust;
        s->trust_generation = generation;
        fetch_memory_forget_failures(&s->memory); /* what failed may be found now */
    }
    return status;
}

enum status fetch_trust_check(struct fetch_shared *s, struct slice der, STACK_OF(X509) * extra,
                              struct failure *f)
{
    struct store_view *view = NULL;
    pthread_mutex_lock(&s->lock);
    enum status status = s->store == NULL ? failure_set(f, STATUS_UNAVAILABLE, "the store is not open yet")
                                          : store_view_begin(s->store, &view, f);
    if (status == STATUS_OK && (status = trust_refresh(s, view, f)) == STATUS_OK) {
        status = trust_check(s->trust, der, extra, TRUST_FOR_SIGNATURE, clock_wall_ms(), f);
        trust_look_in(s->trust, NULL);
    }
    store_view_end(view);
    pthread_mutex_unlock(&s->lock);
    return status;
}

bool fetch_has_failed(struct fetch_shared *s, const uint8_t key[FETCH_KEY_SIZE])
{
    pthread_mutex_lock(&s->lock);
    bool has = fetch_memory_has_failed(&s->memory, key, clock_monotonic_ms());
    pthread_mutex_unlock(&s->lock);
    return has;
}

void fetch_failed(struct fetch_shared *s, const uint8_t key[FETCH_KEY_SIZE], uint64_t for_ms)
{
    pthread_mutex_lock(&s->lock);
    fetch_memory_failed(&s->memory, key, clock_monotonic_ms(), for_ms);
    pthread_mutex_unlock(&s->lock);
}

bool fetch_may_ask(struct fetch_shared *s, const char *host)
{
    uint8_t key[FETCH_KEY_SIZE];
    sha256(slice_of_text(host), key);
    pthread_mutex_lock(&s->lock);
    bool may = fetch_memory_may_ask(&s->memory, key, clock_monotonic_ms());
    pthread_mutex_unlock(&s->lock);
    return may;
}

enum status fetch_setting(struct store_view *view, enum setting_id id, struct slice address, struct buf *out)
{
    struct setting_value value;
    enum status status = setting_get(view, setting_at(id), address, &value);
    return status == STATUS_OK ? buf_append_slice(out, value.text) : status;
}

bool fetch_leads(const struct fetch *r)
{
    return r->leader[0] != '\0' && strcmp(r->leader, core_client_node_name(r->core)) == 0;
}
