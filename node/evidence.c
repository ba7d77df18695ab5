/* See evidence.h. */
#include "node/evidence.h"

void evidence_init(struct evidence *e, enum evidence_kind kind)
{
    *e = (struct evidence){.kind = kind,
                           .content = BUF_INIT(kind == EVIDENCE_LIST ? EVIDENCE_LIST_MAX : OCSP_ANSWER_MAX)};
}

void evidence_release(struct evidence *e)
{
    buf_release(&e->content);
    crl_free(e->crl);
    e->crl = NULL;
}

static enum status judge_list(struct evidence *e, struct store_view *view, uint64_t now_ms, struct failure *f)
{
    uint64_t generation;
    enum status status = crl_read(buf_slice(&e->content), &e->crl, f);
    if (status == STATUS_OK) {
        status = crl_verify(e->crl, view, now_ms, f);
    }
    if (status == STATUS_OK) {
        random_bytes(&generation, sizeof generation);
        crl_prepare(e->crl, generation, "fetch", now_ms);
    }
    return status;
}

enum status evidence_judge(struct evidence *e, struct store_view *view, uint64_t now_ms, struct failure *f)
{
    enum status status = e->kind == EVIDENCE_LIST ? judge_list(e, view, now_ms, f)
                                                  : ocsp_find(buf_slice(&e->content), e->certificate,
                                                              e->issuer, view, now_ms, &e->finding, f);
    buf_release(&e->content);
    return status;
}

size_t evidence_command_count(const struct evidence *e)
{
    return e->kind == EVIDENCE_LIST ? crl_command_count(e->crl) : 1;
}

enum status evidence_command(struct evidence *e, size_t i, uint64_t now_ms, struct slice actor,
                             struct buf *storage, struct command *out, struct failure *f)
{
    if (e->kind == EVIDENCE_LIST) {
        return crl_command(e->crl, i, now_ms, actor, storage, out, f);
    }
    ocsp_command(&e->finding, now_ms, actor, out);
    return STATUS_OK;
}
