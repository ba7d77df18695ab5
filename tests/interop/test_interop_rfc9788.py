"""Header protection in each shape of RFC 9788's appendix C, with the keys of RFC 9216 and OpenSSL as the other side: Bob's messages as the gateway
delivers them to Alice, and what leaves for Bob as a reader made from the RFC alone finds it."""
import email
import email.policy

import pytest

import rfc9788
from example_world import EXAMPLES, own_address
from peers import clear_signed, clear_signed_of, cms_of, pkcs7_mime
from rfc9788 import CASES, Case

ALICE, BOB = own_address("alice"), own_address("bob")


@pytest.fixture(scope="module")
def mail(world):
    cluster = world.gateway.cluster
    cluster.ctl("settings", "set", "domain.locality", "internal", "--domain", "smime.example")
    for use in ("sign", "encrypt"):
        cluster.ctl("cert", "import", EXAMPLES / f"bob.{use}.crt")
    return Mail(world)


class Mail:
    def __init__(self, world):
        self.world, self.bob, self.bob_reads = world, world.key("bob", "sign"), world.key("bob", "encrypt")

    def openssl(self, *arguments, stdin):
        return self.world.run("openssl", "cms", *arguments, stdin=stdin)

    def envelope(self, payload, kind):
        if not kind:
            return payload
        signer = ("-sign", "-binary", "-outform", "DER", "-signer", EXAMPLES / "bob.sign.crt", "-inkey", self.bob)
        if kind == "clear":
            return b"MIME-Version: 1.0\r\n" + clear_signed(payload, self.openssl(*signer, stdin=payload), "sha-256")
        signed = pkcs7_mime(self.openssl(*signer, "-nodetach", stdin=payload), "signed-data")
        if kind == "opaque":
            return b"MIME-Version: 1.0\r\n" + signed
        return b"MIME-Version: 1.0\r\n" + pkcs7_mime(self.seal(signed), "enveloped-data")

    def seal(self, entity):
        return self.openssl("-encrypt", "-binary", "-outform", "DER", "-aes-256-cbc", "-recip", EXAMPLES / "alice.encrypt.crt", stdin=entity)

    def delivered(self, fields, sealed):
        return self.world.gateway.through(BOB, ALICE, rfc9788.lines(fields).encode() + sealed)

    def opened(self, content, encrypted):
        """What Bob's programs find in what left for him: the Cryptographic Payload, its signature verified by OpenSSL."""
        if encrypted:
            content = self.openssl("-decrypt", "-binary", "-inform", "DER", "-inkey", self.bob_reads, "-recip", EXAMPLES / "bob.encrypt.crt",
                                   stdin=cms_of(content))
        return self.verified(content)

    def verified(self, content):
        check = ("-verify", "-binary", "-inform", "DER", "-CAfile", EXAMPLES / "ca.rsa.crt", "-purpose", "any")
        if email.message_from_bytes(content).get_content_type() == "multipart/signed":
            _, signed, signature = clear_signed_of(content)
            return self.openssl(*check, "-content", self.world.file(signed), stdin=signature)
        return self.openssl(*check, stdin=cms_of(content))


# --- what the gateway reads ---

def marks(case):
    """Signature, encryption and header marks that such a message gets; None: there is no such field."""
    if not case.envelope:
        return "none", "none", None
    signature = f"valid; signer={BOB}; protocol=smime; algorithm=rsa-pkcs1-sha256"
    encryption = "decrypted; protocol=smime; cipher=aes256-cbc" if case.encrypted else "none"
    if not case.protection:
        return signature, encryption, None
    return signature, encryption, "signed-and-encrypted" if case.encrypted else "signed"


def assert_marks(delivered, case):
    shown = dict(delivered)
    signature, encryption, protected = marks(case)
    assert shown["X-Sealpost-Signature"].startswith(signature) and shown["X-Sealpost-Encryption"] == encryption, shown
    assert shown.get("X-Sealpost-Headers", "") == (protected or ""), shown
    if case.envelope:
        assert shown["X-Sealpost-Signature"].endswith("; covers=message" if case.protection else "; covers=content"), shown


@pytest.mark.parametrize("name", CASES)
def test_read(mail, name):
    """The composer's own fields, each once; what was signed leaves with every byte."""
    case = CASES[name]
    fields = rfc9788.fields_of(name, case, BOB, ALICE)
    outer, payload = rfc9788.compose(name, case, fields)
    content = mail.delivered(outer, mail.envelope(payload, case.envelope))
    delivered = rfc9788.headers(content)
    assert_marks(delivered, case)
    for each in fields:
        assert [f for f in delivered if f[0].lower() == each[0].lower()] == [each]
    assert not [f for f in delivered if f[0].lower() == "hp-outer"]
    if case.envelope:
        assert mail.verified(content) == payload
    else:
        assert content.endswith(payload)


def test_read_without_the_signature(mail):
    """With smime.remove_signature nothing is left of the scheme: the content as its author wrote it, without a legacy display, hp= or wrapping."""
    cluster = mail.world.gateway.cluster
    cluster.ctl("settings", "set", "smime.remove_signature", "valid", "--user", ALICE)
    for name, case in CASES.items():
        fields = rfc9788.fields_of(name, case, BOB, ALICE)
        outer, payload = rfc9788.compose(name, case, fields)
        content = mail.delivered(outer, mail.envelope(payload, case.envelope))
        assert_marks(rfc9788.headers(content), case)
        content_fields, text = rfc9788.body(name, case.complex)
        meant = (rfc9788.lines(content_fields) + "\r\n" + text).encode()
        assert rfc9788.shape(content) == rfc9788.shape(meant), name
        assert b"hp-legacy-display" not in content and b"hp=" not in content and rfc9788.CLASS.encode() not in content, name
    cluster.ctl("settings", "set", "smime.remove_signature", "never", "--user", ALICE)


@pytest.mark.parametrize("name", ["C.2.1", "C.2.4", "C.2.5", "C.3.1", "C.3.14", "C.3.17"])
def test_fields_added_on_the_way_are_not_shown(mail, name):
    """Section 6.2: who answers must not answer to Mallory. From, Date and Message-ID are the composer's too."""
    case = CASES[name]
    fields = rfc9788.fields_of(name, case, BOB, ALICE)
    outer, payload = rfc9788.compose(name, case, fields)
    added = [("Reply-To", "mallory@evil.example"), ("Cc", "mallory@evil.example"), ("Mail-Followup-To", "mallory@evil.example"),
             ("Keywords", "mallory"), ("Comments", "mallory"), ("Thread-Topic", "mallory")]
    changed = [(n, {"Subject": "mallory", "To": "mallory@evil.example"}.get(n, v)) for n, v in outer]
    delivered = rfc9788.headers(mail.delivered(added + changed, mail.envelope(payload, case.envelope)))
    assert_marks(delivered, case)
    assert "mallory" not in str(delivered), delivered
    for each in fields:
        assert [f for f in delivered if f[0].lower() == each[0].lower()] == [each]


@pytest.mark.parametrize("name", ["C.2.1", "C.2.2", "C.2.5", "C.3.1", "C.3.17"])
def test_another_from_outside(mail, name):
    """Section 4.4: the signature is Bob's, and so is the From that is shown, whoever sent it on. The older form (section 4.10: may be read) is known
    by the same From and Message-ID outside, for it might as well be Bob's message as an attachment of somebody's: then it is that."""
    case = CASES[name]
    outer, payload = rfc9788.compose(name, case, rfc9788.fields_of(name, case, BOB, ALICE))
    outer = [(n, "list@lists.example" if n == "From" else v) for n, v in outer]
    delivered = rfc9788.headers(mail.delivered(outer, mail.envelope(payload, case.envelope)))
    older = case.protection == "rfc8551"
    assert dict(delivered)["X-Sealpost-Signature"].startswith(f"{'mismatch' if older else 'valid'}; signer={BOB}")
    assert [v for n, v in delivered if n == "From"] == ["list@lists.example" if older else f"Bob Babbage <{BOB}>"]
    assert older or case.encrypted or dict(delivered)["X-Sealpost-Headers"] == "signed"


def test_encryption_added_on_the_way_protects_no_field(mail):
    """Section 4.3.1: only hp="cipher" says that the composer wanted fields to be confidential; hp="clear" was signed only, whatever is around it."""
    case = CASES["C.2.1"]
    fields = rfc9788.fields_of("C.2.1", case, BOB, ALICE)
    outer, payload = rfc9788.compose("C.2.1", case, fields)
    sealed = b"MIME-Version: 1.0\r\n" + pkcs7_mime(mail.seal(mail.envelope(payload, "opaque")), "enveloped-data")
    shown = dict(rfc9788.headers(mail.delivered(outer, sealed)))
    assert shown["X-Sealpost-Headers"] == "signed" and shown["X-Sealpost-Encryption"].startswith("decrypted"), shown
    assert "X-Sealpost-Confidential" not in shown
    # Without a signature such fields are nobody's: what is outside stays.
    outer = [(n, "outside" if n == "Subject" else v) for n, v in outer]
    shown = dict(rfc9788.headers(mail.delivered(outer, b"MIME-Version: 1.0\r\n" + pkcs7_mime(mail.seal(payload), "enveloped-data"))))
    assert shown["X-Sealpost-Headers"] == "unprotected" and shown["Subject"] == "outside", shown


def test_which_fields_were_confidential_is_told(mail):
    for name, told in (("C.3.1", "Subject"), ("C.3.3", "From,To,Date,Subject"), ("C.3.17", "Subject")):
        case = CASES[name]
        outer, payload = rfc9788.compose(name, case, rfc9788.fields_of(name, case, BOB, ALICE))
        shown = dict(rfc9788.headers(mail.delivered(outer, mail.envelope(payload, case.envelope))))
        assert shown["X-Sealpost-Headers"] == "signed-and-encrypted" and shown["X-Sealpost-Confidential"] == told, shown


def test_a_message_that_is_passed_on_with_its_protection(mail):
    """Section 4.10.1: message/rfc822 whose message itself says hp= is not the older scheme; its fields are not this message's."""
    case = CASES["C.3.17"]
    outer, payload = rfc9788.compose("C.3.17", case, rfc9788.fields_of("C.3.17", case, BOB, ALICE))
    payload = payload.replace(b'boundary="out"', b'boundary="out"; hp="cipher"')
    delivered = dict(rfc9788.headers(mail.delivered(outer, mail.envelope(payload, case.envelope))))
    assert delivered["Subject"] == "[...]" and "X-Sealpost-Headers" not in delivered, delivered


# --- what the gateway writes ---

WRITTEN = {
    **{name: CASES[name] for name in CASES if CASES[name].envelope and CASES[name].protection != "rfc8551" and CASES[name].policy != "shy"},
    "encrypted, nothing confidential": Case("sealed", True, "hp"),
}


def sent(mail, name, case):
    """Alice's message for Bob, in her name, with the settings that ask for this case."""
    fields = rfc9788.fields_of(name, case, ALICE, BOB)
    fields = [(n, v.replace("Bob Babbage", "Alice L").replace("Alice Lovelace", "Bob B")) for n, v in fields] + [("Bcc", "eve@elsewhere.example")]
    protect = "none" if not case.protection else "hide-subject" if case.policy else "sign"
    mail.world.gateway.set(BOB, encrypt__mode="mandatory" if case.encrypted else "none", protect__headers=protect,
                           protect__legacy_display="yes" if case.legacy else "no", smime__opaque="yes" if case.envelope == "opaque" else "no")
    content_fields, text = rfc9788.body(name, case.complex)
    return fields[:-1], mail.world.gateway.through(ALICE, BOB, (rfc9788.lines(fields + content_fields) + "\r\n" + text).encode())


@pytest.fixture(scope="module")
def writing(mail):
    cluster = mail.world.gateway.cluster
    cluster.ctl("settings", "set", "domain.locality", "external", "--domain", "smime.example")
    mail.world.gateway.set(ALICE, sign__mode="always")
    mail.world.gateway.set(BOB, smime__cipher="aes256-cbc", smime__key_transport="pkcs1")
    yield mail
    cluster.ctl("settings", "set", "domain.locality", "internal", "--domain", "smime.example")


@pytest.mark.parametrize("name", WRITTEN)
def test_write(writing, name):
    case = WRITTEN[name]
    fields, content = sent(writing, name, case)
    payload = writing.opened(content, case.encrypted)
    root, (outer, protected) = email.message_from_bytes(payload), rfc9788.header_sets(payload)
    with_hp = [part for part in root.walk() if part.get_param("hp") is not None]
    assert b"eve@elsewhere" not in payload + content
    if not case.protection:
        assert not with_hp and not outer and not [f for f in fields if f in protected]
        return
    # Section 5.2.1, steps 3 to 5: each field inside, hp= at the root and nowhere else, HP-Outer for what stands outside if there is encryption.
    assert with_hp == [root] and root.get_param("hp") == ("cipher" if case.encrypted else "clear")
    names = {n for n, _ in fields}
    assert [f for f in protected if f[0] in names] == fields
    left = [f for f in rfc9788.headers(content) if f[0] in names]
    assert left == [(n, "[...]" if case.policy and n == "Subject" else v) for n, v in fields]
    assert outer == (left if case.encrypted else [])
    for n, v in fields:
        hidden = case.policy and n == "Subject"
        assert rfc9788.protection(payload, n, v, True, case.encrypted) == ("signed-and-encrypted" if hidden else "signed-only"), n
    if case.policy:
        assert b"Garden" not in content
    # Sections 5.2.2 to 5.2.5: a legacy display in the main text and nowhere else.
    for part in rfc9788.leaves(payload):
        text = part.get_payload(decode=True).decode(errors="replace").replace("\r\n", "\n")
        if not case.legacy or part.get_content_maintype() != "text":
            assert part.get_param("hp-legacy-display") is None and "Garden" not in text
        elif part.get_content_type() == "text/plain":
            assert part.get_param("hp-legacy-display") == "1" and text.startswith(f"Subject: Garden plan {name}\n\nBeans")
        else:
            inside = text.split("<body>", 1)[1].lstrip()
            assert part.get_param("hp-legacy-display") == "1" and inside.startswith(f'<div class="{rfc9788.CLASS}">')
            assert f"Subject: Garden plan {name}</pre>" in inside


def test_a_reply_to_a_hidden_subject_hides_it(writing):
    """Section 6.1, as far as a gateway can: with hide-subject for the partner, the answer's subject is hidden, and what it answers to is inside too."""
    case = CASES["C.3.6"]
    fields, content = sent(writing, "Re: the hidden one", case)
    payload = writing.opened(content, True)
    assert b"Garden" not in content and {"In-Reply-To", "References"} <= {n for n, _ in rfc9788.headers(payload)}
    assert email.message_from_bytes(content)["Subject"] == "[...]" and email.message_from_bytes(payload)["Subject"] == dict(fields)["Subject"]
