"""Rules and groups through three nodes: what was acknowledged on one is in force on the others, and what cannot be evaluated lets nothing pass."""
import json
import smtplib

import pytest

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
    ruled.ctl("group", "delete", "finance")
    assert ruled.ctl_json("group", "list")["items"] == []
    ruled.verify()
