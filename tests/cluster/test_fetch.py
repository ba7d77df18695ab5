"""What the fetch role asks of others: missing issuers (AIA), certificates in a directory (LDAP), and where it may not go."""
import hashlib
import smtplib
import subprocess
import time

import pytest

from authority import Authority
from directory import Directory, free_port
from nameserver import NameServer
from partner import crlf
from responder import Responder
from web import Web

ALICE = "alice@ours.example"


def send(cluster, sender, recipient, content, node=1):
    with smtplib.SMTP("127.0.0.1", cluster.smtp_port(node), timeout=60) as session:
        session.sendmail(sender, [recipient], content)


def arrives(cluster, act):
    before = len(cluster.sink.messages())
    act()
    return cluster.sink.wait(before + 1)[before][1]


def letter(sender, to):
    return f"From: {sender}\r\nTo: {to}\r\nSubject: Hello\r\n\r\nthe secret of Ada\r\n".encode()


def signed_by(authority, name, address, *chain):
    entity = authority.sign(name, b"Content-Type: text/plain\r\n\r\nHello\r\n", *chain)
    return f"From: {address}\r\nTo: {ALICE}\r\nSubject: Signed\r\n".encode() + crlf(entity)


def verdict(cluster, content, address, node=1):
    came = arrives(cluster, lambda: send(cluster, address, ALICE, content, node))
    return came.split(b"X-Sealpost-Signature: ")[1].split(b";")[0].split(b"\r\n")[0].decode()


@pytest.fixture(scope="module")
def web():
    server = Web().start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def ready(cluster):
    cluster.ctl("domain", "add", "ours.example", "--locality", "internal")
    cluster.ctl("settings", "set", "fetch.allow_networks", "127.0.0.0/8")
    return cluster


def test_the_role_is_supervised(ready):
    ready.kill_role(1, "fetch")
    ready.ready()


# --- AIA ---

def chain_of(folder, web, name, aia="/{}.cer", host="127.0.0.1"):
    """A root, an intermediate whose certificate is at the place that the person's certificate names, and the person."""
    root = Authority(folder / name, f"{name} root")
    middle = Authority(folder / name, f"{name} middle", issuer=root)
    middle.issue(name, f"{name}@chain.example", aia=web.url(aia.format(name), host))
    return root, middle


def test_a_missing_issuer_is_fetched(ready, web, tmp_path):
    root, middle = chain_of(tmp_path, web, "ada")
    ready.ctl("ca", "trust", root.path("pem"))
    web.files["/ada.cer"] = middle.der()
    content = signed_by(middle, "ada", "ada@chain.example")
    assert verdict(ready, content, "ada@chain.example") == "valid"
    assert web.asked.count("/ada.cer") == 1
    # It is in the store now, on every node, and nobody asks for it again.
    found = [c for c in ready.api("GET", "/v1/certificates?limit=200", node=2).json["items"] if "ada middle" in c["subject"]]
    assert [c["source"] for c in found] == ["aia"] and not found[0]["trusted"]
    assert verdict(ready, content, "ada@chain.example", node=2) == "valid"
    assert web.asked.count("/ada.cer") == 1


def test_two_issuers_may_be_missing_and_come_as_pkcs7(ready, web, tmp_path):
    root = Authority(tmp_path, "deep root")
    upper = Authority(tmp_path, "deep upper", issuer=root)
    lower = Authority(tmp_path, "deep lower", issuer=upper, aia=web.url("/upper.p7c"))
    lower.issue("dee", "dee@chain.example", aia=web.url("/lower.p7c"))
    web.files["/upper.p7c"], web.files["/lower.p7c"] = upper.p7c(), lower.p7c()
    ready.ctl("ca", "trust", root.path("pem"))
    assert verdict(ready, signed_by(lower, "dee", "dee@chain.example"), "dee@chain.example") == "valid"


def test_what_is_not_the_issuer_does_not_count(ready, web, tmp_path):
    root, middle = chain_of(tmp_path, web, "eve")
    stranger = Authority(tmp_path / "other", "eve middle", issuer=Authority(tmp_path / "other", "eve root"))
    ready.ctl("ca", "trust", root.path("pem"))
    web.files["/eve.cer"] = stranger.der()
    assert verdict(ready, signed_by(middle, "eve", "eve@chain.example"), "eve@chain.example") == "untrusted"
    assert not [c for c in ready.api("GET", "/v1/certificates?limit=200").json["items"] if "eve middle" in c["subject"]]


def test_a_chain_without_an_anchor_of_ours_is_not_kept(ready, web, tmp_path):
    _, middle = chain_of(tmp_path, web, "mal")
    web.files["/mal.cer"] = middle.der()
    assert verdict(ready, signed_by(middle, "mal", "mal@chain.example"), "mal@chain.example") == "untrusted"
    assert "/mal.cer" in web.asked
    assert not [c for c in ready.api("GET", "/v1/certificates?limit=200").json["items"] if "mal middle" in c["subject"]]


def test_a_dead_place_holds_a_worker_once_and_not_for_long(ready, web, tmp_path):
    root, middle = chain_of(tmp_path, web, "slow")
    ready.ctl("ca", "trust", root.path("pem"))
    web.silent.add("/slow.cer")
    content = signed_by(middle, "slow", "slow@chain.example")
    start = time.monotonic()
    assert verdict(ready, content, "slow@chain.example") == "untrusted"
    assert time.monotonic() - start < 8
    for _ in range(3):
        start = time.monotonic()
        assert verdict(ready, content, "slow@chain.example") == "untrusted"
        assert time.monotonic() - start < 1.8
    assert web.asked.count("/slow.cer") == 1


def test_off_is_off(ready, web, tmp_path):
    root, middle = chain_of(tmp_path, web, "off")
    ready.ctl("ca", "trust", root.path("pem"))
    web.files["/off.cer"] = middle.der()
    ready.ctl("settings", "set", "smime.aia", "no")
    assert verdict(ready, signed_by(middle, "off", "off@chain.example"), "off@chain.example") == "untrusted"
    ready.ctl("settings", "unset", "smime.aia")
    assert "/off.cer" not in web.asked


def test_a_private_network_is_closed(ready, web, tmp_path):
    # localhost is a name: the address behind it is what counts.
    root, middle = chain_of(tmp_path, web, "priv", host="localhost")
    ready.ctl("ca", "trust", root.path("pem"))
    web.files["/priv.cer"] = middle.der()
    ready.ctl("settings", "set", "fetch.allow_networks", "127.0.0.2/32")
    assert verdict(ready, signed_by(middle, "priv", "priv@chain.example"), "priv@chain.example") == "untrusted"
    ready.ctl("settings", "set", "fetch.allow_networks", "127.0.0.0/8")
    assert "/priv.cer" not in web.asked


def test_a_redirect_into_a_private_network_is_refused(ready, web, tmp_path):
    outer = Web("127.0.0.2").start()
    try:
        root, middle = chain_of(tmp_path, outer, "redir", host="127.0.0.2")
        ready.ctl("ca", "trust", root.path("pem"))
        outer.redirects["/redir.cer"] = web.url("/redir.cer")
        web.files["/redir.cer"] = middle.der()
        ready.ctl("settings", "set", "fetch.allow_networks", "127.0.0.2/32")
        assert verdict(ready, signed_by(middle, "redir", "redir@chain.example"), "redir@chain.example") == "untrusted"
        assert outer.asked == ["/redir.cer"] and "/redir.cer" not in web.asked
    finally:
        outer.stop()
        ready.ctl("settings", "set", "fetch.allow_networks", "127.0.0.0/8")


def test_an_allowed_redirect_is_followed(ready, web, tmp_path):
    root, middle = chain_of(tmp_path, web, "hop")
    ready.ctl("ca", "trust", root.path("pem"))
    web.redirects.update({"/hop.cer": "/hop2", "/hop2": "/hop3", "/hop3": "/hop4"})
    web.files["/hop4"] = middle.der()
    assert verdict(ready, signed_by(middle, "hop", "hop@chain.example"), "hop@chain.example") == "valid"


# --- directories ---

@pytest.fixture(scope="module")
def people(tmp_path_factory, partner):
    for name in ("ldapbob", "ldapeve", "ldapnew", "ldaplate"):
        partner.issue(name, f"{name}@partner.example")
    der = {n: subprocess.run(["openssl", "x509", "-in", partner.path(f"{n}.pem"), "-outform", "DER"], check=True, capture_output=True).stdout
           for n in ("ldapbob", "ldapeve", "ldapnew", "ldaplate")}
    directory = Directory(tmp_path_factory.mktemp("ldap"), {
        "ldapbob@partner.example": der["ldapbob"],
        "victim@partner.example": der["ldapeve"],  # a certificate of somebody else
        "ldapnew@partner.example": der["ldapnew"],
        "ldaplate@partner.example": der["ldaplate"],
    }).start()
    yield directory
    directory.stop()


def test_the_first_message_to_a_partner_is_encrypted(ready, people, partner):
    ready.ctl("ca", "trust", partner.path("ca.pem"))
    ready.ctl("settings", "set", "cert.lookup", people.lookup, "--domain", "partner.example")
    to = "ldapbob@partner.example"
    content = arrives(ready, lambda: send(ready, ALICE, to, letter(ALICE, to)))
    assert b"Ada" not in content and b"the secret of Ada" in partner.decrypt("ldapbob", content)
    [found] = ready.api("GET", f"/v1/certificates?address={to}", node=3).json["items"]
    assert found["source"] == "ldap"
    searches = people.searches()
    arrives(ready, lambda: send(ready, ALICE, to, letter(ALICE, to), node=2))
    assert people.searches() == searches


@pytest.mark.parametrize("to", ["nobody@partner.example", "victim@partner.example", "*@partner.example"])
def test_who_is_not_in_the_directory_has_no_certificate(ready, people, to):
    ready.ctl("settings", "set", "encrypt.mode", "mandatory", "--domain", "partner.example")
    for searched in (1, 0):
        before = people.searches()
        with pytest.raises(smtplib.SMTPDataError) as refused:
            send(ready, ALICE, to, letter(ALICE, to))
        assert b"no usable certificate" in refused.value.smtp_error
        assert people.searches() == before + searched, "what was looked up in vain is remembered"
    ready.ctl("settings", "unset", "encrypt.mode", "--domain", "partner.example")
    assert not ready.api("GET", "/v1/certificates?address=victim@partner.example").json["items"]


def test_a_directory_in_a_private_network_is_not_asked(ready, people):
    ready.ctl("settings", "set", "fetch.allow_networks", "10.0.0.0/8")
    ready.ctl("settings", "set", "encrypt.mode", "mandatory", "--domain", "partner.example")
    before = people.searches()
    with pytest.raises(smtplib.SMTPDataError):
        send(ready, ALICE, "ldapnew@partner.example", letter(ALICE, "ldapnew@partner.example"))
    assert people.searches() == before
    ready.ctl("settings", "unset", "encrypt.mode", "--domain", "partner.example")
    ready.ctl("settings", "set", "fetch.allow_networks", "127.0.0.0/8")


def test_a_directory_that_is_down_defers_or_lets_pass(ready, people, partner):
    people.stop()
    try:
        to = "ldapnew@partner.example"
        start = time.monotonic()
        for _ in range(2):  # the second time it is remembered
            with pytest.raises(smtplib.SMTPDataError) as error:
                send(ready, ALICE, to, letter(ALICE, to))
            assert error.value.smtp_code == 451 and b"no directory could say" in error.value.smtp_error
        assert time.monotonic() - start < 10
        explained = ready.ctl("policy", "explain", "--from", ALICE, "--to", to).stdout
        assert "if they do not answer: defer (cert.lookup_on_failure, factory default)" in explained
        ready.ctl("settings", "set", "cert.lookup_on_failure", "pass", "--domain", "partner.example")
        assert b"the secret of Ada" in arrives(ready, lambda: send(ready, ALICE, to, letter(ALICE, to)))
        ready.ctl("settings", "unset", "cert.lookup_on_failure", "--domain", "partner.example")
    finally:
        people.start()
    # Another node has not been told to wait, and finds it.
    to = "ldaplate@partner.example"
    content = arrives(ready, lambda: send(ready, ALICE, to, letter(ALICE, to), node=2))
    assert b"the secret of Ada" in partner.decrypt("ldaplate", content)


@pytest.mark.parametrize("value, text", [
    ("http://x/?c?sub?(mail=%s)", "ldap://"),
    ("ldap://u:p@x/?c?sub?(mail=%s)", "user or password"),
    ("ldap://x/?c?sub?(mail=me)", "%s once"),
])
def test_bad_lookups_are_refused(ready, value, text):
    refused = ready.ctl("settings", "set", "cert.lookup", value, code=2)
    assert text in refused.stderr


# --- revocation lists ---

def crls(cluster, name, node=1):
    return [c for c in cluster.api("GET", "/v1/crls?limit=200", node=node).json["items"] if name in c["name"]]


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"it did not come to be in {seconds} s")


def listed(folder, web, name):
    """A CA that is an anchor, whose list is at /NAME.crl, and two people with certificates."""
    ca = Authority(folder / name, f"{name} ca")
    for person in ("good", "bad"):
        ca.issue(f"{name}{person}", f"{name}{person}@listed.example", crl=web.url(f"/{name}.crl"))
    return ca


def refused(cluster, to):
    with pytest.raises(smtplib.SMTPDataError) as error:
        send(cluster, ALICE, to, letter(ALICE, to))
    return error.value.smtp_error.decode()


def test_a_revoked_certificate_is_noticed(ready, web, tmp_path):
    ca = listed(tmp_path, web, "rev")
    ready.ctl("settings", "set", "encrypt.mode", "mandatory", "--domain", "listed.example")
    ca.revoke("revbad")
    web.files["/rev.crl"] = ca.crl()
    ready.ctl("ca", "trust", ca.path("pem"))
    for person in ("revgood", "revbad"):
        ready.ctl("cert", "import", tmp_path / "rev" / f"{person}.pem")
    [found] = wait_for(lambda: crls(ready, "rev ca"))
    assert found["source"] == "fetch"
    to = "revgood@listed.example"
    assert b"the secret" in ca.decrypt("revgood", arrives(ready, lambda: send(ready, ALICE, to, letter(ALICE, to), node=2)))
    assert "revoked" in refused(ready, "revbad@listed.example")
    assert web.asked.count("/rev.crl") == 1, "one node fetches, once"


def test_a_list_that_is_too_old_soft_and_hard(ready, web, tmp_path):
    ca = listed(tmp_path, web, "old")
    web.files["/old.crl"] = ca.crl(dates=("20200101000000Z", "20200102000000Z"))
    ready.ctl("ca", "trust", ca.path("pem"))
    ready.ctl("cert", "import", tmp_path / "old" / "oldgood.pem")
    wait_for(lambda: crls(ready, "old ca"))
    del web.files["/old.crl"]
    to = "oldgood@listed.example"
    assert b"the secret" in ca.decrypt("oldgood", arrives(ready, lambda: send(ready, ALICE, to, letter(ALICE, to))))
    ready.ctl("settings", "set", "smime.revocation", "hard")
    try:
        assert to in refused(ready, to)
    finally:
        ready.ctl("settings", "unset", "smime.revocation")


def test_a_forged_list_changes_nothing(ready, web, tmp_path):
    ca = listed(tmp_path, web, "forge")
    other = Authority(tmp_path / "other", "forge ca")
    (tmp_path / "other" / "forgegood.pem").write_bytes((tmp_path / "forge" / "forgegood.pem").read_bytes())
    other.revoke("forgegood")
    web.files["/forge.crl"] = other.crl()
    ready.ctl("ca", "trust", ca.path("pem"))
    ready.ctl("cert", "import", tmp_path / "forge" / "forgegood.pem")
    wait_for(lambda: "/forge.crl" in web.asked)
    time.sleep(1)
    assert not crls(ready, "forge ca")
    to = "forgegood@listed.example"
    assert b"the secret" in ca.decrypt("forgegood", arrives(ready, lambda: send(ready, ALICE, to, letter(ALICE, to))))


def watched(cluster, url, node=1):
    return [s for s in cluster.ctl_json("fetch", "status", node=node)["items"] if s["url"] == url]


def metric(cluster, name, node=1):
    text = cluster.api("GET", "/metrics", node=node).body.decode()
    return [float(line.split()[1]) for line in text.splitlines() if line.split("{")[0].split(" ")[0] == name]


def test_what_is_fetched_is_told_and_fetched_now(ready, web, tmp_path):
    ca = listed(tmp_path, web, "told")
    url = web.url("/told.crl")
    ready.ctl("ca", "trust", ca.path("pem"))
    ready.ctl("cert", "import", tmp_path / "told" / "toldgood.pem")
    # There is no list yet: the failure is told with its reason, by every node.
    [failed] = wait_for(lambda: [s for s in watched(ready, url, node=2) if s["state"] == "failed"])
    assert "404" in failed["error"] and failed["failures"] >= 1 and failed["succeeded"] is None and failed["next"]
    shown = ready.ctl("fetch", "status", node=3).stdout
    assert url in shown and f"node{ready.leader()}" in shown
    # It waits a minute before it tries again, unless it is told to.
    web.files["/told.crl"] = ca.crl()
    assert ready.ctl_json("fetch", "now", url, node=3)["due"] == 1
    [good] = wait_for(lambda: [s for s in watched(ready, url) if s["state"] == "ok"])
    assert good["succeeded"] and good["about"] == "CN=told ca" and good["failures"] == 0
    wait_for(lambda: crls(ready, "told ca", node=2))
    assert ready.ctl("fetch", "now", "http://nobody.example/", code=None).returncode == 3
    leader = ready.leader()
    wait_for(lambda: sum(metric(ready, "sealpost_fetch_lists_fetched_total", leader)) >= 1)
    assert len(metric(ready, "sealpost_crl_ends_seconds", leader)) == metric(ready, "sealpost_crls", leader)[0]


def test_a_delta_list_that_the_list_names(ready, web, tmp_path):
    ca = listed(tmp_path, web, "delta")
    full, delta = web.url("/delta.crl"), web.url("/fresh.crl")
    ready.ctl("settings", "set", "encrypt.mode", "mandatory", "--domain", "listed.example")
    web.files["/delta.crl"] = ca.crl(freshest=delta)  # number 1, nobody is on it
    ca.revoke("deltabad")
    web.files["/fresh.crl"] = ca.crl(base=1)
    ready.ctl("ca", "trust", ca.path("pem"))
    for person in ("deltagood", "deltabad"):
        ready.ctl("cert", "import", tmp_path / "delta" / f"{person}.pem")
    wait_for(lambda: [c["number"] for c in crls(ready, "delta ca", node=2)] == ["02"])
    assert "revoked" in refused(ready, "deltabad@listed.example")
    to = "deltagood@listed.example"
    assert b"the secret" in ca.decrypt("deltagood", arrives(ready, lambda: send(ready, ALICE, to, letter(ALICE, to), node=2)))
    # The full list under the delta is fetched again: that is no failure, and takes nothing back.
    asked = web.asked.count("/delta.crl")
    ready.ctl("fetch", "now", full)
    wait_for(lambda: web.asked.count("/delta.crl") > asked and watched(ready, full)[0]["state"] != "fetching")
    assert (watched(ready, full)[0]["state"], watched(ready, full)[0]["failures"]) == ("ok", 0)
    assert [s["kind"] for s in watched(ready, delta)] == ["delta-crl"]
    assert "revoked" in refused(ready, "deltabad@listed.example")


# --- OCSP ---

def state_of(cluster, thumbprint, node=1):
    return cluster.api("GET", f"/v1/certificates/{thumbprint}", node=node).json["revocation"]


def thumbprint_of(cluster, address):
    [found] = cluster.api("GET", f"/v1/certificates?address={address}").json["items"]
    return found["thumbprint"]


def test_answers_of_a_responder_are_in_force_everywhere(ready, tmp_path):
    responder, forger = Responder(), Responder()
    dead = f"http://127.0.0.1:{free_port()}/"
    ca = Authority(tmp_path / "ocsp", "ocsp ca")
    names = {"ocspgood": responder, "ocspbad": responder, "ocspnew": responder, "ocspforged": forger}
    for name, by in names.items():
        # The first place is a responder that is not there.
        ca.issue(name, f"{name}@answered.example", ocsp=[dead, by.url] if name == "ocspgood" else by.url)
    other = Authority(tmp_path / "other", "ocsp ca")
    ca.known("ocspgood")
    ca.revoke("ocspbad")
    (tmp_path / "other" / "ocspforged.pem").write_bytes((tmp_path / "ocsp" / "ocspforged.pem").read_bytes())
    other.revoke("ocspforged")
    responder.start(ca)
    forger.start(other, issuer=ca)  # the right names, signed by another key
    try:
        ready.ctl("settings", "set", "encrypt.mode", "mandatory", "--domain", "answered.example")
        ready.ctl("ca", "trust", ca.path("pem"))
        for name in names:
            ready.ctl("cert", "import", tmp_path / "ocsp" / f"{name}.pem")
        prints = {name: thumbprint_of(ready, f"{name}@answered.example") for name in names}
        assert state_of(ready, prints["ocspgood"])["status"] == "unknown", "nobody is asked until ocsp.enabled says so"
        ready.ctl("settings", "set", "ocsp.enabled", "yes")
        wait_for(lambda: state_of(ready, prints["ocspbad"])["status"] == "revoked")
        wait_for(lambda: state_of(ready, prints["ocspgood"])["status"] == "good")
        assert state_of(ready, prints["ocspgood"])["source"] == "ocsp"
        for node in (1, 2, 3):
            with pytest.raises(smtplib.SMTPDataError) as error:
                send(ready, ALICE, "ocspbad@answered.example", letter(ALICE, "ocspbad@answered.example"), node)
            assert b"revoked" in error.value.smtp_error
        stored = ready.ctl_json("ocsp", "list", node=2)["items"]
        assert sorted(a["status"] for a in stored) == ["good", "revoked"] and all(a["in_force"] for a in stored)
        # A forged answer, and none: unknown is used with soft, and refused with hard.
        to = "ocspforged@answered.example"
        assert state_of(ready, prints["ocspforged"])["status"] == "unknown"
        assert b"the secret" in ca.decrypt("ocspforged", arrives(ready, lambda: send(ready, ALICE, to, letter(ALICE, to))))
        ready.ctl("settings", "set", "smime.revocation", "hard")
        to = "ocspgood@answered.example"
        assert b"the secret" in ca.decrypt("ocspgood", arrives(ready, lambda: send(ready, ALICE, to, letter(ALICE, to), node=2)))
        assert "not known" in refused(ready, "ocspnew@answered.example")
        assert "not known" in refused(ready, "ocspforged@answered.example")
        # What is forgotten is asked for anew.
        [good] = [a for a in stored if a["status"] == "good"]
        asked = responder.asked
        ready.ctl("ocsp", "remove", good["issuer"], good["serial"], node=3)
        wait_for(lambda: responder.asked > asked and state_of(ready, prints["ocspgood"])["status"] == "good")
    finally:
        ready.ctl("settings", "unset", "smime.revocation", code=None)
        ready.ctl("settings", "unset", "ocsp.enabled", code=None)
        responder.stop()
        forger.stop()


def test_another_node_fetches_when_the_leader_is_gone(ready, web, tmp_path):
    ca = listed(tmp_path, web, "lead")
    leader = ready.leader()
    ready.local("kill", leader)
    try:
        other = leader % 3 + 1
        ready.ready(other)
        web.files["/lead.crl"] = ca.crl()
        wait_for(lambda: ready.ctl("ca", "trust", ca.path("pem"), node=other, code=None).returncode == 0)
        ready.ctl("cert", "import", tmp_path / "lead" / "leadgood.pem", node=other)
        wait_for(lambda: crls(ready, "lead ca", node=other))
    finally:
        ready.local("start", leader)
        ready.ready(leader)


# --- fingerprints of partner domains in DNS ---

@pytest.fixture(scope="module")
def names(ready, tmp_path_factory):
    server = NameServer(tmp_path_factory.mktemp("names") / "nsd", {"signed.example": True, "open.example": False}).start()
    ready.ctl("settings", "set", "dns.resolvers", server.resolver)
    ready.ctl("settings", "set", "dns.trust_anchors", server.anchor("signed.example"))
    yield server
    server.stop()


def looked_up(cluster, domain, node=1):
    """What a look-up that is asked for now says, on another node."""
    before = cluster.api("GET", f"/v1/domains/{domain}/dns", node=node).json.get("checked")
    while before == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()):  # times are told in seconds
        time.sleep(0.05)
    cluster.api("PUT", f"/v1/domains/{domain}/dns", node=node)
    end = time.monotonic() + 20
    while True:
        found = cluster.api("GET", f"/v1/domains/{domain}/dns", node=3).json
        if found.get("checked") != before or time.monotonic() > end:
            assert found.get("checked") != before, found
            return found
        time.sleep(0.1)


def test_a_partners_fingerprint_in_dns_waits_for_confirmation(ready, names, tmp_path):
    stranger = Authority(tmp_path, "far CA")
    prints = []
    for name in ("gate1", "gate2"):
        stranger.issue(name, "gate@signed.example")
        ready.ctl("cert", "import", tmp_path / f"{name}.pem")
        prints.append(hashlib.sha256(stranger.der(name)).hexdigest())
    names.publish("signed.example", prints[0])
    found = looked_up(ready, "signed.example")
    assert (found["state"], found["dnssec"], found["published"], found["review"]) == ("unconfirmed", "signed", [prints[0]], True)
    letter_in = signed_by(stranger, "gate1", "anybody@signed.example")
    assert verdict(ready, letter_in, "anybody@signed.example") == "untrusted", "DNS alone trusts nothing"
    ready.ctl("cert", "domain-confirm", "signed.example", "--fingerprint", prints[0])
    assert ready.ctl_json("domain", "dns-show", "signed.example")["state"] == "confirmed"
    assert verdict(ready, letter_in, "anybody@signed.example") == "valid"
    # Another one in DNS is shown, and does not take the place of what was confirmed.
    names.publish("signed.example", prints[1])
    found = looked_up(ready, "signed.example", node=2)
    assert (found["state"], found["review"], found["confirmed"]) == ("changed", True, [prints[0]])
    assert verdict(ready, letter_in, "anybody@signed.example") == "valid"
    assert verdict(ready, signed_by(stranger, "gate2", "anybody@signed.example"), "anybody@signed.example") == "untrusted"
    assert "changed" in ready.ctl("domain", "dns-list").stdout
    names.publish("signed.example")
    found = looked_up(ready, "signed.example")
    assert (found["state"], found["published"], "DNSSEC" in found["note"]) == ("removed", [], True)
    # Denied: refused on every node at once, pinned or not.
    ready.ctl("ctl", "deny", prints[0], "--comment", "stolen")
    assert [verdict(ready, letter_in, "anybody@signed.example", node) for node in (1, 2, 3)] == ["untrusted"] * 3
    ready.ctl("domain", "dns-unwatch", "signed.example")
    assert ready.ctl("domain", "dns-show", "signed.example", code=None).returncode == 3


def test_forged_dns_is_refused_and_unsigned_dns_is_marked(ready, names):
    good, bad = "aa" * 32, "bb" * 32
    names.publish("signed.example", good)
    assert looked_up(ready, "signed.example")["dnssec"] == "signed"
    names.publish("signed.example", good, forge=(good, bad))
    found = looked_up(ready, "signed.example")
    assert (found["state"], found["dnssec"], found["published"], found["review"]) == ("bogus", "bogus", [good], True)
    names.publish("open.example", good)
    found = looked_up(ready, "open.example")
    assert (found["state"], found["dnssec"], found["published"]) == ("unconfirmed", "unsigned", [good])
