"""Debian's Thunderbird without a screen, driven through Marionette: it opens messages in its own window and says what it thinks of them, and composes.

Its profile, home and temporary files are in a folder of the test's own, it talks to nobody (each proxy is a closed port of this machine), and it
listens on a port that the kernel chose. It is ended by its process id.
"""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

from peers import OURS, THEIRS

PROGRAM = "/usr/lib/thunderbird/thunderbird"
PREFERENCES = {
    "marionette.port": 0, "mail.openMessageBehavior": 0, "mail.rights.version": 1, "mail.provider.suppress_dialog_on_startup": True,
    "mail.spotlight.firstRunDone": True, "mailnews.start_page.enabled": False, "app.update.enabled": False, "extensions.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False, "datareporting.healthreport.uploadEnabled": False, "toolkit.telemetry.enabled": False,
    "security.OCSP.enabled": 0, "network.dns.disablePrefetch": True, "network.proxy.type": 1, "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": 9, "network.proxy.ssl": "127.0.0.1", "network.proxy.ssl_port": 9, "network.proxy.socks": "127.0.0.1",
    "network.proxy.socks_port": 9, "network.proxy.socks_remote_dns": True,
}
IMPORT = """
let [keys, authority, certificates] = args;
let database = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
for (let path of keys) {
  let file = Cc["@mozilla.org/file/local;1"].createInstance(Ci.nsIFile);
  file.initWithPath(path);
  let code = database.importPKCS12File(file, "secret");
  if (code != Ci.nsIX509CertDB.Success) throw new Error(path + ": " + code);
}
database.addCertFromBase64(authority, "C,C,C");
certificates.forEach(each => database.addCertFromBase64(each, ",,"));
"""
READ = """
let { MailUtils } = ChromeUtils.importESModule("resource:///modules/MailUtils.sys.mjs");
let file = Cc["@mozilla.org/file/local;1"].createInstance(Ci.nsIFile);
file.initWithPath(args[0]);
let until = async condition => {
  for (let began = Date.now(); Date.now() - began < 20000; await new Promise(done => setTimeout(done, 20))) {
    let value = condition();
    if (value) return value;
  }
  throw new Error("Thunderbird did not come to: " + condition);
};
await until(() => Services.wm.getMostRecentWindow("mail:3pane")?.document.readyState == "complete");
MailUtils.openEMLFile(Services.wm.getMostRecentWindow("mail:3pane"), file, Services.io.newFileURI(file));
let view = await until(() => Services.wm.getMostRecentWindow("mail:messageWindow"));
try {
  let message = await until(() => view.document.getElementById("messageBrowser")?.contentWindow);
  let page = () => message.document.getElementById("messagepane").contentDocument;
  await until(() => message.gSmimeMsgLoadedFired && page()?.readyState == "complete" && page().body?.textContent.trim()
                    && message.gReceivedSignatureCount >= message.gExpectedSignatureCount);
  let text = id => message.document.getElementById(id)?.textContent.trim() ?? "";
  return {
    signed: message.gSignatureStatus, encrypted: message.gEncryptionStatus, subject: text("expandedsubjectBox"),
    body: page().body.textContent,
  };
} finally {
  view.close();
  await until(() => !Services.wm.getMostRecentWindow("mail:messageWindow"));
}
"""
COMPOSE = """
let [from, to, sign, encrypt, body] = args;
let { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
let { MimeMessage } = ChromeUtils.importESModule("resource:///modules/MimeMessage.sys.mjs");
let certificate = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB).getCerts().find(each => each.emailAddress == from);
let identity = MailServices.accounts.createIdentity();
identity.email = from;
for (let use of ["signing", "encryption"]) {
  identity.setUnicharAttribute(use + "_cert_name", certificate.displayName);
  identity.setCharAttribute(use + "_cert_dbkey", certificate.dbKey);
}
let fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
let secure = Cc["@mozilla.org/messengercompose/composesecure;1"].createInstance(Ci.nsIMsgComposeSecure);
Object.assign(secure, { signMessage: sign, requireEncryptMessage: encrypt });
Object.assign(fields, { from, to, subject: "From Thunderbird", composeSecure: secure });
if (encrypt)
  await new Promise((done, failed) => secure.asyncFindCertByEmailAddr(to, {
    QueryInterface: ChromeUtils.generateQI(["nsIDoneFindCertForEmailCallback"]),
    findCertDone(email, found) {
      if (!found) return failed(new Error("no certificate for " + to));
      secure.cacheValidCertForEmail(to, found.dbKey);
      done();
    },
  }));
let report = Cc["@mozilla.org/messengercompose/sendreport;1"].createInstance(Ci.nsIMsgSendReport);
let message = new MimeMessage(identity, fields, "", "text/plain", body, Ci.nsIMsgSend.nsMsgDeliverNow, "", Ci.nsIMsgCompType.New, [], report);
return (await message.createMessageFile()).path;
"""


class Thunderbird:
    def __init__(self, authority):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sealpost-thunderbird-"))
        self.number, self.unread, self.socket, self.process = 0, b"", None, None
        try:
            self.start()
            base64_of = {name: "".join(authority.path(f"{name}.pem").read_text().split("-----")[2].split()) for name in ("ca", *OURS)}
            self.run(IMPORT, [str(authority.path(f"{name}.p12")) for name in THEIRS], base64_of["ca"], [base64_of[name] for name in OURS])
        except BaseException:
            self.end()
            raise

    def start(self):
        for name in ("profile", "home", "run", "tmp"):
            (self.folder / name).mkdir(mode=0o700)
        (self.folder / "profile" / "user.js").write_text("".join(f"user_pref({json.dumps(n)}, {json.dumps(v)});\n" for n, v in PREFERENCES.items()))
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": str(self.folder / "home"),
                       "XDG_RUNTIME_DIR": str(self.folder / "run"), "TMPDIR": str(self.folder / "tmp")}
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                [PROGRAM, "-headless", "--no-remote", "-profile", str(self.folder / "profile"), "--marionette", "-remote-allow-system-access"],
                env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        chosen = self.folder / "profile" / "MarionetteActivePort"
        deadline = time.monotonic() + 60
        while not (chosen.exists() and chosen.read_text()):
            assert self.process.poll() is None and time.monotonic() < deadline, (self.folder / "log").read_text(errors="replace")[-2000:]
            time.sleep(0.05)
        self.socket = socket.create_connection(("127.0.0.1", int(chosen.read_text())), timeout=60)
        self.receive()
        self.command("WebDriver:NewSession", capabilities={})
        self.command("Marionette:SetContext", value="chrome")

    def end(self):
        if self.socket:
            self.socket.close()
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, 9)
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def receive(self):
        """A packet of Marionette: its length in decimal, a colon, JSON."""
        while b":" not in self.unread or len(self.unread) < int(self.unread.split(b":", 1)[0]) + self.unread.index(b":") + 1:
            data = self.socket.recv(65536)
            assert data, "Thunderbird has gone"
            self.unread += data
        length, rest = self.unread.split(b":", 1)
        self.unread = rest[int(length):]
        return json.loads(rest[:int(length)])

    def command(self, name, **parameters):
        self.number += 1
        packet = json.dumps([0, self.number, name, parameters]).encode()
        self.socket.sendall(b"%d:%s" % (len(packet), packet))
        _, number, error, result = self.receive()
        assert number == self.number and error is None, error
        return result

    def run(self, script, *arguments):
        """Runs JavaScript with all privileges; its answer."""
        wrapped = ("let [...args] = arguments; let done = args.pop(); (async () => {" + script
                   + "})().then(value => done({ value }), error => done({ error: String(error) }));")
        answer = self.command("WebDriver:ExecuteAsyncScript", script=wrapped, args=list(arguments), newSandbox=True, sandbox="system",
                              scriptTimeout=50000)["value"]
        assert "error" not in answer, answer["error"]
        return answer.get("value")

    def read(self, content):
        """What the message window shows: signed, encrypted (0: good, -1: not so, else why it is bad), subject, body."""
        self.number += 1
        path = self.folder / "tmp" / f"{self.number}.eml"
        path.write_bytes(content)
        return self.run(READ, str(path))

    def compose(self, sender, recipient, body, sign=True, encrypt=True):
        path = pathlib.Path(self.run(COMPOSE, sender, recipient, sign, encrypt, body))
        return path.read_bytes()
