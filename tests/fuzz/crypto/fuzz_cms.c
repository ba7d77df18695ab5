/* CMS as any sender can send it: our own walk over its BER, and all that is done with it without a key. */
#include "crypto/cms_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool within(struct slice part, struct slice whole)
{
    return part.len == 0 ||
           (part.data >= whole.data && part.len <= (size_t)(whole.data + whole.len - part.data));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice cms = slice_of(data, size);
    struct cms_facts facts;
    struct smime_verified verified;
    struct arena a;
    bool fits;

    if (cms_scan(cms, &facts) == STATUS_OK &&
        (!within(facts.content_type, cms) || !within(facts.cipher, cms) ||
         facts.recipient_infos > CMS_RECIPIENT_INFOS_MAX || facts.signers > CMS_SIGNERS_MAX))
        abort();
    (void)!smime_recipients(cms, &cms, 1, &fits);
    arena_init(&a, (size_t)1 << 20);
    for (int detached = 0; detached < 2; detached++) {
        if (smime_verify(cms, slice_of_text("text"), detached, slice_of_text("a@example.org"), NULL, 0, &a,
                         &verified) == STATUS_OK &&
            (verified.verdict == SMIME_VALID || verified.verdict == SMIME_NONE))
            abort(); /* there is no anchor */
        smime_verified_release(&verified);
    }
    arena_release(&a);
    return 0;
}
