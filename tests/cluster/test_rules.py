"""Rules and groups through three nodes: what was acknowledged on one is in force on the others, and what cannot be evaluated lets nothing pass."""
import json
import smtplib

import smtplib

import pytest

from conftest import Sink
from test_mail import ALICE, SECRET, arrives, letter, send


@pytest.fixture(scope="module")
def ruled(cluster, partner):
    partner.issue("rita", "rita@partner.example")
    partner.issue("alice2", ALICE)
    cluster.ctl("ca", "trust", partner.path("ca.pem"))
    cluster.ctl("cert", "import", partner.path("rita.pem"))
    cluster.ctl("key", "import", partner.path("alice2.p12"), "--password-file", partner.path("secret"))
    cluster.ctl("domain", "add", "ours.example", "--locality", "internal")
    cluster.ctl("settings", "set", "encrypt.mode", "none")
    yield cluster
    cluster.ctl("settings", "unset", "encrypt.mode")


@pytest.fixture
def rule(ruled):
    """Rules that are gone after the test."""
    made = []

    def make(name, when, then, *options, node=1, **keywords):
        answer = ruled.ctl_json("policy", "rule-set", name, "--when", when, "--then", then, *options, node=node, **keywords)
        made.append(name)
        return answer

    yield make
    for name in made:
        ruled.ctl("policy", "rule-remove", name)


def names(cluster, node=1):
    return [r["name"] for r in cluster.ctl_json("policy", "rule-list", "--consistent", node=node)["items"]]


def test_a_rule_is_stored_in_its_normal_form(ruled, rule):
    got = rule("spaces", "  (sender   Alice@Ours.Example)or size>1024", "stop , require   encryption", "--comment", "why not")
    assert got["when"] == "sender alice@ours.example or size > 1K" and got["then"] == "require encryption, stop"
    assert got["enabled"] is True and got["comment"] == "why not" and "broken" not in got
    assert ruled.ctl_json("policy", "rule-show", "spaces", "--consistent", node=3)["when"] == got["when"]
    # What is not given stays.
    got = ruled.ctl_json("policy", "rule-set", "spaces", "--disable")
    assert got["enabled"] is False and got["when"] == "sender alice@ours.example or size > 1K" and got["comment"] == "why not"


@pytest.mark.parametrize("when, then, says", [
    ("recpient a@b", "stop", 'position 1: there is no condition "recpient"; did you mean recipient?'),
    ("subject matches /(/", "stop", "position 17: the regular expression is wrong at its byte 2: missing closing parenthesis"),
    ("always", "refuse", "position 7: expected the text for the sender in quotes, but the text ends"),
    ("sender in group nobody", "stop", "there is no group nobody"),
])
def test_a_wrong_rule_changes_nothing(ruled, when, then, says):
    before = names(ruled)
    result = ruled.ctl("policy", "rule-set", "wrong", "--when", when, "--then", then, code=2)
    assert says in result.stderr
    assert names(ruled) == before


def test_rules_have_an_order(ruled, rule):
    rule("a", "always", "stop")
    rule("b", "always", "stop", node=2)
    rule("c", "always", "stop", "--before", "a", node=3)
    assert names(ruled) == ["c", "a", "b"]
    ruled.ctl("policy", "rule-move", "c", "--after", "b", node=2)
    assert names(ruled, 3) == ["a", "b", "c"]
    ruled.ctl("policy", "rule-move", "b", "--place", "first")
    assert names(ruled, 2) == ["b", "a", "c"]
    assert "there is no rule x" in ruled.ctl("policy", "rule-move", "b", "--after", "x", code=3).stderr


def test_groups(ruled, rule):
    ruled.ctl("group", "add", "finance", "Alice@Ours.Example", "money.example", "*.bank.example")
    got = [m["member"] for m in ruled.ctl_json("group", "members", "finance", "--consistent", node=3)["items"]]
    assert got == ["*.bank.example", "alice@ours.example", "money.example"]
    rule("uses", "recipient in group finance", "stop")
    [group] = ruled.ctl_json("group", "list", "--consistent", node=2)["items"]
    assert group["members"] == 3 and group["rules"] == ["uses"]
    assert "the rule uses names this group" in ruled.ctl("group", "delete", "finance", code=2).stderr
    ruled.ctl("group", "remove", "finance", "money.example", "*.bank.example")
    assert "money.example is not in the group finance" in ruled.ctl("group", "remove", "finance", "money.example", code=3).stderr
    assert '"a b" is no' in ruled.ctl("group", "add", "finance", "a b", code=2).stderr.replace("a?b", "a b")
    ruled.ctl("policy", "rule-set", "uses", "--when", "always")
    assert "there is no group nowhere" in ruled.ctl("settings", "set", "trigger.group.encrypt", "finance, nowhere", code=2).stderr
    ruled.ctl("settings", "set", "trigger.group.encrypt", "finance")
    assert "the setting trigger.group.encrypt names this group" in ruled.ctl("group", "delete", "finance", code=2).stderr
    explained = ruled.ctl_json("policy", "explain", "--from", "alice@ours.example", "--to", "alice@ours.example", "--to", "x@partner.example")
    assert "trigger.group.encrypt" in str(explained)
    ruled.ctl("settings", "unset", "trigger.group.encrypt")
    ruled.ctl("group", "delete", "finance")
    assert ruled.ctl_json("group", "list")["items"] == []
    ruled.verify()


# --- through SMTP ---

def header_of(content):
    return content.split(b"\r\n\r\n", 1)[0].decode()


def refusal(cluster, node, sender, recipient, content):
    with pytest.raises((smtplib.SMTPDataError, smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused)) as caught:
        send(cluster, node, sender, [recipient], content)
    error = caught.value
    code, text = error.recipients[recipient] if hasattr(error, "recipients") else (error.smtp_code, error.smtp_error)
    return code, text.decode()


def test_a_rule_put_on_one_node_is_in_force_on_another(ruled, rule):
    rita = "rita@partner.example"
    [(_, content)] = arrives(ruled, lambda: send(ruled, 3, ALICE, [rita], letter(ALICE, rita)))
    assert SECRET.encode() in content
    rule("must", "recipient domain partner.example and subject contains \"geheim\"", "require encryption", node=1)
    [(_, content)] = arrives(ruled, lambda: send(ruled, 3, ALICE, [rita], letter(ALICE, rita, subject="streng GEHEIM")))
    assert SECRET.encode() not in content and "pkcs7-mime" in header_of(content)
    [(_, content)] = arrives(ruled, lambda: send(ruled, 2, ALICE, [rita], letter(ALICE, rita)))
    assert SECRET.encode() in content


def test_a_rule_that_requires_encryption_refuses_where_there_is_no_certificate(ruled, rule):
    rule("must", "sender domain ours.example", "require encryption")
    code, text = refusal(ruled, 2, ALICE, "x@nowhere.example", letter(ALICE, "x@nowhere.example"))
    assert code == 550 and "x@nowhere.example" in text and "rule must" in text


def test_a_refusal_is_told_in_the_reply(ruled, rule):
    rule("scan", 'header "X-Scan" = "dirty"', 'refuse "the content scanner objects"')
    code, text = refusal(ruled, 2, ALICE, "x@nowhere.example", letter(ALICE, "x@nowhere.example", X_Scan="dirty"))
    assert code == 550 and "the content scanner objects" in text
    arrives(ruled, lambda: send(ruled, 2, ALICE, ["x@nowhere.example"], letter(ALICE, "x@nowhere.example", X_Scan="clean")))


def test_a_tag_is_added(ruled, rule):
    rule("tag", "sender domain ours.example", 'tag "X-Class: internal"')
    [(_, content)] = arrives(ruled, lambda: send(ruled, 3, ALICE, ["x@nowhere.example"], letter(ALICE, "x@nowhere.example")))
    assert "X-Class: internal" in header_of(content) and SECRET.encode() in content


def test_a_rule_that_cannot_be_evaluated_lets_nothing_pass(ruled, rule):
    rule("slow", "recipient domain slow.example and subject matches /^(a+)+$/", "stop")
    code, text = refusal(ruled, 3, ALICE, "x@slow.example", letter(ALICE, "x@slow.example", subject="a" * 60 + "!"))
    assert 400 <= code < 600 and "the rule slow cannot be evaluated" in text
    # Whom the rule does not reach is served.
    arrives(ruled, lambda: send(ruled, 3, ALICE, ["x@fast.example"], letter(ALICE, "x@fast.example", subject="a" * 60 + "!")))


def test_a_route_takes_one_recipient_elsewhere(ruled, rule, tmp_path):
    other = Sink(("127.0.0.1", 0), str(tmp_path / "other")).start()
    try:
        rule("court", "recipient domain *.court.example", f"route 127.0.0.1:{other.port}")
        both = ["x@north.court.example", "y@nowhere.example"]
        [(envelope, _)] = arrives(ruled, lambda: send(ruled, 2, ALICE, both, letter(ALICE, ", ".join(both))))
        assert envelope["recipients"] == ["y@nowhere.example"]
        [(envelope, content)] = other.wait(1)
        assert envelope["recipients"] == ["x@north.court.example"] and SECRET.encode() in content
    finally:
        other.stop()


def test_a_message_is_put_aside(ruled, rule):
    rule("hold", "header \"X-Scan\" matches /^(odd|strange)$/", "quarantine")
    send(ruled, 1, ALICE, ["x@nowhere.example"], letter(ALICE, "x@nowhere.example", X_Scan="odd"))
    [held] = [entry for entry in ruled.ctl_json("queue", "list")["items"] if entry["state"] == "quarantined"]
    arrives(ruled, lambda: ruled.ctl("queue", "release", held["id"]))


# --- policy test ---

TABLE = """# what legal wants
from,to,subject,header,header,message,tls,expect

alice@ours.example,rita@partner.example,,,,,,plain
alice@ours.example,rita@partner.example,"it is ""geheim"", really",,,,,encrypt+sign smime
alice@ours.example,x@nowhere.example rita@partner.example,,X-Scan: dirty,X-Other: 1,,yes,refuse scanner
alice@ours.example,x@nowhere.example,,,,dirty.eml,,refuse the content scanner
,alice@ours.example,,,,,,incoming
"""


@pytest.fixture
def table(ruled, tmp_path):
    (tmp_path / "dirty.eml").write_bytes(letter(ALICE, "x@nowhere.example", X_Scan="dirty"))

    def write(text):
        path = tmp_path / "expect.csv"
        path.write_text(text)
        return str(path)

    return write


def test_policy_is_compared_with_what_is_expected(ruled, rule, table):
    path = table(TABLE)
    result = ruled.ctl("policy", "test", path, code=2)
    assert "FAILED" in result.stdout and "plain" in result.stdout
    rule("geheim", 'subject contains "geheim"', "require encryption, sign")
    rule("scan", 'header "X-Scan" = "dirty"', 'refuse "the content scanner objects"')
    got = ruled.ctl_json("policy", "test", path)
    assert got["passed"] is True and got["cases"] == 5 and [i["line"] for i in got["items"]] == [4, 5, 6, 7, 8]
    # Supposed settings count, and are not set.
    result = ruled.ctl("policy", "test", path, "--with", "partner.example:encrypt.mode=mandatory", code=2)
    assert result.stdout.count("FAILED") == 1
    assert ruled.ctl("policy", "test", path).stdout.count("ok") == 5


def test_rules_can_be_proposed(ruled, rule, table, tmp_path):
    path, proposal = table(TABLE), tmp_path / "rules.json"
    rule("geheim", 'subject contains "geheim"', "require encryption, sign")
    rule("scan", 'header "X-Scan" = "dirty"', 'refuse "the content scanner objects"')
    proposal.write_text(ruled.ctl("policy", "rule-list", "-o", "json").stdout)
    ruled.ctl("policy", "test", path, "--rules", proposal)
    proposal.write_text('[{"name": "all", "when": "always", "then": "refuse \\"closed\\""}]')
    assert ruled.ctl("policy", "test", path, "--rules", proposal, code=2).stdout.count("FAILED") == 5
    proposal.write_text('[{"name": "bad", "when": "allways", "then": "stop"}]')
    assert 'there is no condition "allways"; did you mean always?' in ruled.ctl("policy", "test", path, "--rules", proposal, code=2).stderr


@pytest.mark.parametrize("text, code, says", [
    ("", 1, "the table is empty"),
    ("from,to\n", 1, "the column expect is missing"),
    ("from,to,expct\n", 1, 'there is no column "expct"'),
    ("from,to,expect\na@b.example,,plain\n", 1, "line 2: it needs to and expect"),
    ("from,to,expect\n\na@b.example,c@d.example,\"plain\n", 1, "line 3: a closing quote is missing"),
    ("from,to,expect,tls\na@b.example,c@d.example,plain,maybe\n", 1, "line 2: tls is yes or no"),
    ("from,to,expect,message\na@b.example,c@d.example,plain,none.eml\n", 1, "line 2: cannot open"),
    ("from,to,expect\n#\na@b.example,nobody,plain\n", 2, "line 3: \"nobody\" is no mail address"),
    ("from,to,expect\na@b.example,c@d.example,secret\n", 2, "line 2: expect is one of plain, sign,"),
])
def test_a_wrong_table_names_its_line(ruled, table, text, code, says):
    assert says in ruled.ctl("policy", "test", table(text), code=code).stderr
