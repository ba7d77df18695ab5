"""Header protection as RFC 9788 has it, from the RFC alone: a composer (section 5.2) with its header confidentiality policies (section 3.2), and a
reader (sections 4.2.1 and 4.3.1). The shapes of messages are those of its appendix C; every word in them is our own."""
import datetime
import email
import email.utils
import re
from dataclasses import dataclass

DOT = ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABh6FO1AAAAABJRU5ErkJggg==")
CLASS = "header-protection-legacy-display"


@dataclass
class Case:
    """One message: `complex` has two forms of the text and a picture; `envelope` is opaque, clear or sealed (signed, then encrypted)."""
    envelope: str = ""
    complex: bool = False
    protection: str = ""  # "", "hp" or "rfc8551"
    policy: str = ""  # "", "baseline", "shy"
    legacy: bool = False
    reply: bool = False

    @property
    def encrypted(self):
        return self.envelope == "sealed"


def _c3():
    for complex_, first in ((False, 1), (True, 9)):
        for n in range(8):
            yield f"C.3.{first + n}", Case("sealed", complex_, "hp", "shy" if n & 2 else "baseline", bool(n & 1), n >= 4)


CASES = {
    "C.1.1": Case(), "C.1.2": Case("opaque"), "C.1.3": Case("clear"), "C.1.4": Case("sealed"),
    "C.1.5": Case("", True), "C.1.6": Case("opaque", True), "C.1.7": Case("clear", True), "C.1.8": Case("sealed", True),
    "C.2.1": Case("opaque", False, "hp"), "C.2.2": Case("clear", False, "hp"), "C.2.3": Case("opaque", True, "hp"), "C.2.4": Case("clear", True, "hp"),
    "C.2.5": Case("opaque", True, "rfc8551"), "C.2.6": Case("clear", True, "rfc8551"),
    **dict(_c3()),
    "C.3.17": Case("sealed", True, "rfc8551", "baseline"),
}


# --- composing ---

def fields_of(name, case, sender, recipient):
    fields = [("Subject", f"Garden plan {name}"), ("Message-ID", f"<{name.lower()}@smime.example>"), ("From", f"Bob Babbage <{sender}>"),
              ("To", f"Alice Lovelace <{recipient}>"), ("Date", "Tue, 24 Nov 2026 09:30:00 -0500"), ("User-Agent", "Paper and Pencil 1")]
    if case.reply:
        fields += [("In-Reply-To", "<seed@smime.example>"), ("References", "<soil@smime.example> <seed@smime.example>")]
    return fields


def outside(policy, name, value):
    """What stands outside of what is encrypted; None: nothing (section 3.2)."""
    if policy and name.lower() == "subject":
        return "[...]"
    if policy and name.lower() in ("comments", "keywords"):
        return None
    if policy == "shy" and name.lower() in ("from", "to", "cc"):
        return ", ".join(address for _, address in email.utils.getaddresses([value]))
    if policy == "shy" and name.lower() == "date":
        return email.utils.format_datetime(email.utils.parsedate_to_datetime(value).astimezone(datetime.timezone.utc))
    return value


def lines(fields):
    return "".join(f"{name}: {value}\r\n" for name, value in fields)


def text_part(shown, name):
    display = "".join(f"{n}: {v}\r\n" for n, v in shown) + "\r\n" if shown else ""
    return display + f"Beans along the fence, says {name}.\r\n\r\n-- \r\nBob\r\n"


def html_part(shown, name):
    display = f'<div class="{CLASS}"><pre>' + "\r\n".join(f"{n}: {v}" for n, v in shown).replace("<", "&lt;").replace(">", "&gt;") + "</pre></div>\r\n"
    return f"<html><head><title></title></head><body>\r\n{display if shown else ''}<p>Beans along the <b>fence</b>, says {name}.</p></body></html>\r\n"


def body(name, complex_, shown=(), parameters=""):
    """(content fields, body) with the legacy display of these fields, and more parameters for the Content-Type of the root."""
    mark = '; hp-legacy-display="1"' if shown else ""
    plain = f'text/plain; charset="us-ascii"{mark}'
    if not complex_:
        return [("MIME-Version", "1.0"), ("Content-Type", plain + parameters), ("Content-Transfer-Encoding", "7bit")], text_part(shown, name)
    return [("MIME-Version", "1.0"), ("Content-Type", 'multipart/mixed; boundary="out"' + parameters)], (
        '--out\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="in"\r\n\r\n'
        f"--in\r\nContent-Type: {plain}\r\nContent-Transfer-Encoding: 7bit\r\n\r\n{text_part(shown, name)}\r\n"
        f'--in\r\nContent-Type: text/html; charset="us-ascii"{mark}\r\nContent-Transfer-Encoding: 7bit\r\n\r\n{html_part(shown, name)}\r\n--in--\r\n\r\n'
        f"--out\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: inline\r\n\r\n{DOT}\r\n--out--\r\n")


def compose(name, case, fields):
    """The fields that stand outside, and the Cryptographic Payload (without an envelope: what follows those fields)."""
    if not case.protection:
        content, text = body(name, case.complex)
        return fields, (lines(content) + "\r\n" + text).encode()
    out = [(n, outside(case.policy, n, v)) for n, v in fields] if case.encrypted else fields
    out = [(n, v) for n, v in out if v is not None]
    if case.protection == "rfc8551":
        content, text = body(name, case.complex)
        return out, ("Content-Type: message/rfc822\r\n\r\n" + lines(fields + content) + "\r\n" + text).encode()
    shown = [(n, v) for n, v in fields if outside(case.policy, n, v) != v] if case.legacy else ()
    content, text = body(name, case.complex, shown, '; hp="cipher"' if case.encrypted else '; hp="clear"')
    record = [("HP-Outer", f"{n}: {v}") for n, v in out] if case.encrypted else []
    return out, (lines(fields + record + content) + "\r\n" + text).encode()


# --- reading ---

def headers(message):
    """(name, value) of each field, unfolded."""
    return [(n, re.sub(r"\r?\n(?=[ \t])", "", str(v)).strip()) for n, v in email.message_from_bytes(message).items()]


def header_sets(payload):
    """Section 4.2.1: what the composer put outside, and what is protected."""
    outer, protected = [], []
    for name, value in headers(payload):
        if name.lower() == "hp-outer":
            inner, _, rest = value.partition(":")
            outer.append((inner, rest.strip()))
        else:
            protected.append((name, value))
    return outer, protected


def protection(payload, name, value, signature_is_valid, encrypted):
    """Section 4.3.1."""
    outer, protected = header_sets(payload)
    assert (name, value) in protected
    if encrypted and email.message_from_bytes(payload).get_param("hp") == "cipher" and (name, value) not in outer:
        return "signed-and-encrypted" if signature_is_valid else "encrypted-only"
    return "signed-only" if signature_is_valid else "unprotected"


def leaves(message):
    return [part for part in email.message_from_bytes(message).walk() if not part.is_multipart()]


def shape(message):
    """Types and decoded contents of all parts, for comparing what was meant with what arrived."""
    return [(part.get_content_type(), None if part.is_multipart() else part.get_payload(decode=True).replace(b"\r\n", b"\n").rstrip())
            for part in email.message_from_bytes(message).walk()]
