"Somebody is told, once, in the way that params.yaml says; and no hook, however broken, fails an iteration."

import email
import email.policy
import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from loop import until
from ruamel.yaml import YAML

from continual_nb.interfaces.notify import Message, attempt, meant_for, noted, send
from continual_nb.loop.project import Project
from continual_nb.core.files import ContinualError
from continual_nb.core.params import Hook, Notify, When, parse, render

SUMMARY = {
    "number": 3,
    "window": "2013-03",
    "action": "improve",
    "answer": "pending",
    "alerts": {"harm": 1, "look": 0, "note": 2},
    "asked": "Approve?",
    "verdict": "Proposed.",
}
ASKED = Message(
    "asked", "Late flights", "003-2013-03", SUMMARY, "# Late flights\n", evidence="ab" * 32
)


class Chat(ThreadingHTTPServer):
    "A web server that keeps what it is told."

    def __init__(self, status: int = 204, slow: threading.Event | None = None):
        self.got, self.status, self.slow = [], status, slow
        super().__init__(("127.0.0.1", 0), Asked)
        self.url = f"http://127.0.0.1:{self.server_port}/hook"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *error):
        self.shutdown()
        super().__exit__(*error)


class Asked(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.got.append((self.path, dict(self.headers), body))
        if self.server.slow:
            self.server.slow.wait(30)
        self.send_response(self.server.status)
        if self.server.status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()

    def do_GET(self):
        self.server.got.append((self.path, dict(self.headers), None))
        self.send_response(200)
        self.end_headers()

    log_message = lambda *words: None


class Post(socketserver.ThreadingTCPServer):
    "A mail server of a few lines: it takes every mail, and keeps the envelope and the letter."

    daemon_threads = allow_reuse_address = True

    def __init__(self, refuses: str = ""):
        self.got, self.refuses = [], refuses
        super().__init__(("127.0.0.1", 0), Taking)
        self.at = f"127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *error):
        self.shutdown()
        super().__exit__(*error)


class Taking(socketserver.StreamRequestHandler):
    def handle(self):
        say, to = lambda line: self.wfile.write(f"{line}\r\n".encode()), []
        say("220 ready")
        while line := self.rfile.readline().decode().strip():
            word = line.split()[0].upper()
            if word == self.server.refuses:
                say("550 not here")
            elif word == "EHLO":
                say("250-hello\r\n250 AUTH PLAIN")
            elif word == "AUTH":
                say("235 welcome") if line.endswith("AGFkYQBzM2NyZXQ=") else say(
                    "535 wrong password s3cret-not"
                )
            elif word == "DATA":
                say("354 go on")
                text = b"".join(iter(self.rfile.readline, b".\r\n"))
                self.server.got.append(
                    (to, email.message_from_bytes(text, policy=email.policy.default))
                )
                say("250 kept")
            elif word == "QUIT":
                return say("221 bye")
            else:
                to += [line] if word == "RCPT" else []
                say("250 fine")


def mail(server: Post, **more) -> Hook:
    return Hook(
        **{
            "kind": "mail",
            "target": "ada@example.org, grace@example.org",
            "server": server.at,
            "sender": "loop@example.org",
            "security": "none",
            **more,
        }
    )


def with_hooks(loop, *hooks: dict):
    "Write hooks into a project's params.yaml, as a person does."
    path = loop.path("params.yaml")
    text = path.read_text()
    assert "\n  hooks: []" in text
    path.write_text(text.replace("\n  hooks: []", f"\n  hooks: {json.dumps(hooks)}"))
    loop.git("commit", "-q", "-a", "-m", "Hooks")


# -- who is meant, and what may stand in params.yaml ------------------------------------------------
@pytest.mark.parametrize(
    "when, meant",
    [
        ({}, True),
        ({"events": ["asked"]}, True),
        ({"events": ["sealed"]}, False),
        ({"actions": ["improve", "rollback"]}, True),
        ({"actions": ["continue"]}, False),
        ({"answers": ["pending"]}, True),
        ({"answers": ["promoted"]}, False),
        ({"severities": ["harm"]}, True),
        ({"severities": ["look"]}, False),
        ({"severities": ["look", "note"]}, True),
        ({"actions": ["improve"], "severities": ["look"]}, False),
    ],
)
def test_a_hook_hears_what_passes_all_its_lists(when, meant):
    assert meant_for(Hook(kind="command", target="true", when=When(**when)), ASKED) is meant


@pytest.mark.parametrize(
    "hook, word",
    [
        (
            {"kind": "webhook", "target": "https://ada:s3cret@chat.example.org/hook"},
            "environment variable",
        ),
        ({"kind": "webhook", "target": "ftp://chat.example.org"}, "address"),
        ({"kind": "mail", "target": "ada@example.org"}, "server"),
        (
            {
                "kind": "mail",
                "target": "ada@example.org",
                "server": "x:25",
                "sender": "l@example.org",
                "secret": "p4ss word!",
            },
            "environment variables",
        ),
        ({"kind": "pager", "target": "x"}, "kind"),
        ({"kind": "command", "target": ""}, "target"),
        ({"kind": "command", "target": "true", "wen": {}}, "'when'"),
    ],
)
def test_a_hook_that_cannot_work_or_holds_a_secret_is_refused_by_name(hook, word):
    with pytest.raises(ContinualError) as error:
        parse(
            {
                "data": {"source": "x", "time": "t", "label": "y", "numeric": ["a"]},
                "notify": {"hooks": [hook]},
            }
        )
    assert word in str(error.value) and "s3cret" not in str(error.value)


def test_hooks_survive_a_round_trip_through_the_form():
    params = parse(
        {
            "data": {"source": "x", "time": "t", "label": "y", "numeric": ["a"]},
            "notify": {
                "link": "https://example.org/r",
                "hooks": [
                    {
                        "kind": "webhook",
                        "target": "$CHAT",
                        "when": {"answers": ["rolled back", "no data"]},
                    },
                    {"kind": "command", "target": "sh -c 'cat > \"x y\"'"},
                ],
            },
        }
    )
    assert parse(YAML(typ="safe").load(render(params))) == params


# -- the three ways ---------------------------------------------------------------------------------
def test_a_webhook_gets_the_summary_and_its_token(monkeypatch):
    monkeypatch.setenv("CHAT_TOKEN", "s3cret")
    with Chat() as chat:
        assert (
            attempt(Hook(kind="webhook", target=chat.url, secret="CHAT_TOKEN"), ASKED, 5, ".") == ""
        )
        assert attempt(Hook(kind="webhook", target=chat.url, body="text"), ASKED, 5, ".") == ""
    (path, head, full), (_, bare, text) = chat.got
    assert (path, head["Authorization"], full["summary"], full["event"]) == (
        "/hook",
        "Bearer s3cret",
        SUMMARY,
        "asked",
    )
    assert text == {"text": "# Late flights\n"} and "Authorization" not in bare


@pytest.mark.parametrize("status, words", [(500, "500"), (404, "404"), (302, "302")])
def test_a_webhook_that_answers_badly_or_sends_us_elsewhere_is_named(status, words, monkeypatch):
    monkeypatch.setenv("CHAT_URL", "set below")
    with Chat(status) as chat:
        monkeypatch.setenv("CHAT_URL", chat.url)
        assert words in attempt(Hook(kind="webhook", target="$CHAT_URL"), ASKED, 5, ".")
    assert [path for path, _, _ in chat.got] == ["/hook"]


def test_a_secret_is_never_told(monkeypatch):
    monkeypatch.setenv("CHAT_URL", "http://127.0.0.1:9/s3cret here")
    said = attempt(Hook(kind="webhook", target="$CHAT_URL"), ASKED, 5, ".")
    assert said and "s3cret" not in said
    monkeypatch.delenv("CHAT_URL")
    assert "CHAT_URL is not set" in attempt(Hook(kind="webhook", target="$CHAT_URL"), ASKED, 5, ".")


def test_a_mail_carries_the_summary_and_the_report(tmp_path, monkeypatch):
    monkeypatch.setenv("MAIL_USER", "ada")
    monkeypatch.setenv("MAIL_PASSWORD", "s3cret")
    page = tmp_path / "report.html"
    page.write_text("<p>größer</p>")
    told = Message(
        "sealed",
        "Late\nflights\r\nBcc: all@example.org",
        "003-2013-03",
        {**SUMMARY, "answer": "promoted"},
        "# Späte Flüge\n",
        page,
        "https://example.org/r",
    )
    with Post() as server:
        assert attempt(mail(server, user="MAIL_USER", secret="MAIL_PASSWORD"), told, 5, ".") == ""
    ((to, letter),) = server.got
    assert (
        len(to) == 2
        and letter["To"] == "ada@example.org, grace@example.org"
        and letter["Bcc"] is None
    )
    assert letter["Subject"] == "Late flights Bcc: all@example.org, 2013-03: promoted"
    assert (
        letter.get_body(("plain",)).get_content().replace("\r", "")
        == "# Späte Flüge\n\nhttps://example.org/r\n"
    )
    (attached,) = letter.iter_attachments()
    assert (attached.get_filename(), attached.get_content().strip()) == (
        "003-2013-03.html",
        "<p>größer</p>",
    )


def test_a_mail_server_that_refuses_is_named_and_its_password_is_not(monkeypatch):
    monkeypatch.setenv("MAIL_USER", "ada")
    monkeypatch.setenv("MAIL_PASSWORD", "s3cret-not")
    with Post() as server:
        said = attempt(mail(server, user="MAIL_USER", secret="MAIL_PASSWORD"), ASKED, 5, ".")
        assert "535" in said and "s3cret" not in said
        assert (
            "starttls" in attempt(mail(server, security="starttls"), ASKED, 5, ".").lower()
        )  # never in the clear where encryption was asked for
    with Post("RCPT") as server:
        assert "550" in attempt(mail(server), ASKED, 5, ".")
    assert server.got == []


def test_a_command_gets_the_json_and_one_that_never_ends_is_ended_with_its_children(tmp_path):
    assert (
        attempt(
            Hook(
                kind="command",
                target="""sh -c 'cat > got.json; printf %s "$CONTINUAL_ITERATION" > name'""",
            ),
            ASKED,
            10,
            tmp_path,
        )
        == ""
    )
    assert (
        json.loads((tmp_path / "got.json").read_text()) == ASKED.payload()
        and (tmp_path / "name").read_text() == "003-2013-03"
    )
    assert "no end after" in attempt(
        Hook(kind="command", target="sh -c 'sleep 60 & echo $! > pid; wait'"), ASKED, 0.5, tmp_path
    )
    child = int((tmp_path / "pid").read_text())
    import psutil

    until(
        lambda: (
            not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
        ),
        20,
    )  # a kill takes effect when the process is scheduled
    assert (
        attempt(Hook(kind="command", target="sh -c 'echo why >&2; exit 3'"), ASKED, 10, tmp_path)
        == "it ended with 3: why"
    )
    assert "no-such-program" in attempt(
        Hook(kind="command", target="no-such-program"), ASKED, 10, tmp_path
    )
    assert attempt(Hook(kind="command", target="sh -c 'unbalanced"), ASKED, 10, tmp_path)


# -- once, and never in the way ---------------------------------------------------------------------
def test_nobody_is_told_twice_and_what_failed_is_tried_again(tmp_path):
    project = Project(tmp_path)
    with Chat() as chat:
        hooks = Notify(
            timeout=5,
            hooks=(
                Hook(kind="webhook", target=chat.url),
                Hook(kind="webhook", target=chat.url),
                Hook(kind="command", target="false"),
            ),
        )
        assert [bool(one.problem) for one in send(project, [ASKED], hooks)] == [False, True]
        assert [one.hook for one in send(project, [ASKED], hooks)] == ["command false"]
        moved = Message(**{**ASKED.__dict__, "evidence": "cd" * 32})
        assert len(send(project, [moved], hooks)) == 2  # other evidence is another question
        assert len(send(project, [moved], hooks, again=True)) == 2
    assert len(chat.got) == 3
    (project.private / "told.json").write_text("{broken")
    assert noted(project) == {}


def test_nobody_waits_for_a_hook_that_never_answers(tmp_path):
    never = threading.Event()
    with Chat(slow=never) as chat:
        hooks = Notify(
            timeout=0.5,
            hooks=(
                Hook(kind="webhook", target=chat.url),
                Hook(kind="command", target="true"),
                Hook(kind="command", target="sleep 60"),
            ),
        )
        told = {
            one.hook.split()[0] + one.hook[-2:]: one.problem
            for one in send(Project(tmp_path), [ASKED], hooks)
        }
        never.set()
    assert told["webhookok"] and told["command60"] and told["commandue"] == ""


def test_a_replay_is_one_message_with_every_iteration_in_it(tmp_path):
    several = [
        Message(
            "sealed",
            "Flights",
            f"00{n}-2013-0{n}",
            {**SUMMARY, "answer": answer},
            "the newest in full\n",
        )
        for n, answer in enumerate(("promoted", "deferred", "kept"), 1)
    ]
    with Chat() as chat:
        hooks = Notify(
            hooks=(
                Hook(kind="webhook", target=chat.url),
                Hook(
                    kind="webhook", target=chat.url + "/deferred", when=When(answers=("deferred",))
                ),
            )
        )
        send(Project(tmp_path), several, hooks)
    full, some = sorted((body for _, _, body in chat.got), key=lambda body: -len(body["text"]))
    assert (
        full["text"].startswith("3 iterations were sealed")
        and full["iteration"] == "003-2013-03"
        and "002-2013-02: deferred" in full["text"]
    )
    assert some["iteration"] == "002-2013-02"


# -- in a real project ------------------------------------------------------------------------------
def test_a_project_tells_of_the_question_and_of_the_seal_once_and_broken_hooks_stop_nothing(
    turned, copy
):
    loop = copy(turned)
    with Chat() as chat, Post() as server:
        letters = mail(server, when=When(events=("sealed",))).model_dump(mode="json")
        with_hooks(
            loop,
            {"kind": "webhook", "target": "$CHAT_URL"},
            letters,
            {"kind": "command", "target": "false"},
            {"kind": "webhook", "target": "$NOT_SET"},
        )
        env = {"CHAT_URL": chat.url}
        assert (
            "nobody to tell" in loop.continual("notify", **env).out
        )  # params.yaml is evidence, and it has moved
        loop.dvc("repro", **env)
        assert chat.got == []  # the pipeline itself tells nobody
        assert (
            "would be told" in loop.continual("notify", "--dry-run", **env).out and chat.got == []
        )
        said = loop.continual("notify", "--link", "https://example.org/pull/1", code=1, **env)
        assert (
            "was told" in said.out and "NOT_SET is not set" in said.out and chat.url not in said.all
        )
        loop.continual("notify", code=1, **env)
        ((_, _, body),) = chat.got
        assert (
            body["event"] == "asked"
            and body["summary"] == loop.json("data/work/report/summary.json")
            and body["link"] == "https://example.org/pull/1"
        )
        before = loop.bytes()
        loop.dvc("repro", "--force", **env)
        assert loop.bytes() == before and len(chat.got) == 1
        loop.continual("sign", "approve", "--by", "continual", "--reason", "Good.", **env)
        assert (
            "nobody to tell" in loop.continual("notify", **env).out
        )  # signed: nothing is asked any more
        loop.dvc("repro", **env)
        said = loop.continual("seal", **env)
        assert "command false was not told" in said.err and "sealed iter/001-2024-01" in said.out
        assert [b["event"] for _, _, b in chat.got] == ["asked", "sealed"] and chat.got[1][2][
            "summary"
        ]["answer"] == "promoted"
        ((_, one),) = server.got
        assert "<html" in next(one.iter_attachments()).get_content()
        loop.continual("notify", code=1, **env)
        assert len(chat.got) == 2 and len(server.got) == 1
        loop.continual("run", "--until", "2024-02", **env)
        assert len(chat.got) == 3 and chat.got[2][2]["iteration"] == "002-2024-02"
    tracked = loop.git("ls-files")
    assert "told.json" not in tracked
    loop.continual("verify")


def test_a_project_without_hooks_says_so(turned, copy):
    assert "params.yaml names no hooks" in copy(turned).continual("notify").out
