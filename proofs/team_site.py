"""A team's servers on loopback: PostgreSQL, S3, and Prefect and MLflow as servers/compose.yaml starts them."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from proofs.local_server import Server, free_port, running, wait_for

MEMBERS = ("ada", "ben")
BUCKETS = ("dvc", "mlflow")
_SERVERS = Path(__file__).parents[1] / "servers"
_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def postgresql_programs() -> Path | None:
    """The folder with initdb and postgres, which Debian has outside of PATH; None if PostgreSQL is missing."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return places[-1].parent if places else None


@dataclass
class Secrets:
    """Passwords and keys of one proof; nothing that is kept or shown may have one of them."""

    postgresql: str = field(default_factory=secrets.token_hex)
    prefect: str = field(default_factory=secrets.token_hex)
    mlflow: dict[str, str] = field(default_factory=lambda: {n: secrets.token_hex() for n in ("admin", *MEMBERS)})
    mlflow_key: str = field(default_factory=secrets.token_hex)
    s3_id: str = ""
    s3: str = ""

    @property
    def login(self) -> str:
        """Of Prefect."""
        return f"team:{self.prefect}"

    def texts(self) -> list[str]:
        """What to look for, also in the encoding of HTTP headers."""
        logins = [self.login, *(f"{name}:{word}" for name, word in self.mlflow.items())]
        words = [self.postgresql, self.prefect, *self.mlflow.values(), self.mlflow_key, self.s3]
        return words + [base64.b64encode(login.encode()).decode() for login in logins]


class TeamSite:
    """The servers; their logs are in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.secrets, self.held = folder, Secrets(), ExitStack()
        self.ports = {name: free_port() for name in ("postgresql", "s3", "prefect", "mlflow")}
        self.prefect = Server(f"{self.address('prefect')}/api", self.secrets.login)
        self.programs = postgresql_programs() or Path()
        # No user but root may read the folders of a test that root runs, and PostgreSQL refuses to run as root.
        self._database = Path(tempfile.mkdtemp(prefix="stylereel-postgresql-"))
        self.held.callback(shutil.rmtree, self._database, ignore_errors=True)

    def address(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def start(self) -> None:
        self._start_postgresql()
        self._start_s3()
        self._start_prefect()
        self._start_mlflow()

    def environment(self, member: str) -> dict[str, str]:
        """What a member of the team sets."""
        return {
            "PREFECT_API_URL": self.prefect.api,
            "PREFECT_API_AUTH_STRING": self.secrets.login,
            "PREFECT_HOME": str(self.folder / f"prefect-{member}"),
            "MLFLOW_TRACKING_URI": self.address("mlflow"),
            "MLFLOW_TRACKING_USERNAME": member,
            "MLFLOW_TRACKING_PASSWORD": self.secrets.mlflow[member],
        }

    def dump(self, database: str) -> str:
        """A whole database as text."""
        command = [str(self.programs / "pg_dump"), "--host", "127.0.0.1", "--port", str(self.ports["postgresql"])]
        words = [*command, "--username", database, "--data-only", database]
        environment = {**os.environ, "PGPASSWORD": self.secrets.postgresql}
        return subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout

    def _run(self, name: str, command: list[str], **variables: str) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "MLFLOW_", "AWS_", "PG"))}
        environment = {**kept, "DO_NOT_TRACK": "1", **variables}
        self.held.enter_context(running(command, self._home(name), environment, self.log(name)))

    def _home(self, name: str) -> Path:
        home = self._database if name == "postgresql" else self.folder / name
        home.mkdir(exist_ok=True)
        return home

    def _start_postgresql(self) -> None:
        data, password = self._database / "data", self._database / "password"
        password.write_text(self.secrets.postgresql)
        prefix = []
        if os.geteuid() == 0:
            for path in (self._database, password):
                shutil.chown(path, "postgres", "postgres")
            prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        options = [
            "--username=postgres",
            "--auth=scram-sha-256",
            f"--pwfile={password}",
            "--no-sync",
            "--encoding=UTF8",
        ]
        initdb = [*prefix, str(self.programs / "initdb"), "--pgdata", str(data), *options]
        subprocess.run(initdb, cwd=self._database, check=True, capture_output=True)
        port = str(self.ports["postgresql"])
        serve = [str(self.programs / "postgres"), "-D", str(data), "-h", "127.0.0.1", "-p", port, "-k", ""]
        self._run("postgresql", [*prefix, *serve])
        wait_for("PostgreSQL is up", self._make_databases, 120, self.log("postgresql"))

    def _make_databases(self) -> bool:
        import psycopg2

        where = {"host": "127.0.0.1", "port": self.ports["postgresql"], "password": self.secrets.postgresql}
        try:
            connection = psycopg2.connect(user="postgres", dbname="postgres", **where)
        except psycopg2.OperationalError:
            return False
        connection.autocommit = True
        with connection.cursor() as cursor:
            for name in ("prefect", "mlflow"):
                cursor.execute(f"CREATE ROLE {name} LOGIN PASSWORD %s", [self.secrets.postgresql])
                cursor.execute(f"CREATE DATABASE {name} OWNER {name}")
        connection.close()
        return True

    def _start_s3(self) -> None:
        import boto3

        # Without keys until there is a user who has some.
        self._run("s3", [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.ports["s3"])])
        wait_for("the S3 server is up", lambda: _status(f"{self.address('s3')}/moto-api/data.json") == 200, 120,
                 self.log("s3"))  # fmt: skip
        nobody = {"aws_access_key_id": "none", "aws_secret_access_key": "none", "region_name": "us-east-1"}
        iam = boto3.client("iam", endpoint_url=self.address("s3"), **nobody)
        iam.create_user(UserName="team")
        iam.put_user_policy(UserName="team", PolicyName="all", PolicyDocument=json.dumps(_ALL))
        key = iam.create_access_key(UserName="team")["AccessKey"]
        self.secrets.s3_id, self.secrets.s3 = key["AccessKeyId"], key["SecretAccessKey"]
        lock = urllib.request.Request(f"{self.address('s3')}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"})
        urllib.request.urlopen(lock, timeout=30).close()
        keys = {"aws_access_key_id": self.secrets.s3_id, "aws_secret_access_key": self.secrets.s3}
        s3 = boto3.client("s3", endpoint_url=self.address("s3"), region_name="us-east-1", **keys)
        for bucket in BUCKETS:
            s3.create_bucket(Bucket=bucket)

    def _start_prefect(self) -> None:
        self._run_of_compose("prefect", PREFECT_HOME=str(self.folder / "prefect"))
        wait_for("Prefect is up", self.prefect.is_up, 900, self.log("prefect"))

    def _start_mlflow(self) -> None:
        settings = self._home("mlflow") / "auth.ini"
        settings.write_text(self._here((_SERVERS / "mlflow-auth.ini").read_text()))
        self._run_of_compose("mlflow", MLFLOW_AUTH_CONFIG_PATH=str(settings))
        wait_for("MLflow is up", lambda: _status(f"{self.address('mlflow')}/health") == 200, 900, self.log("mlflow"))
        for name in MEMBERS:
            self.mlflow_api("users/create", {"username": name, "password": self.secrets.mlflow[name]})

    def _run_of_compose(self, name: str, **variables: str) -> None:
        """Starts a service with command and environment of servers/compose.yaml, on loopback."""
        service = YAML(typ="safe").load(self._here((_SERVERS / "compose.yaml").read_text()))["services"][name]
        command = [sys.executable, "-m", *service["command"]]
        self._run(name, command, **{**service["environment"], **variables})

    def _here(self, text: str) -> str:
        """A file of servers/ with the addresses and secrets of this site."""
        values = {
            "POSTGRES_PASSWORD": self.secrets.postgresql,
            "PREFECT_PASSWORD": self.secrets.prefect,
            "MLFLOW_ADMIN_PASSWORD": self.secrets.mlflow["admin"],
            "MLFLOW_SECRET_KEY": self.secrets.mlflow_key,
            "S3_ACCESS_KEY": self.secrets.s3_id,
            "S3_SECRET_KEY": self.secrets.s3,
        }
        ports = {name: str(port) for name, port in self.ports.items()}
        text = re.sub(r"\$\{(\w+):\?[^}]*\}", lambda found: values[found[1]], text)
        text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
        for there, name in (("postgres:5432", "postgresql"), ("s3:7070", "s3")):
            text = text.replace(there, f"127.0.0.1:{ports[name]}")
        for there, name in (('"4200"', "prefect"), ('"5000"', "mlflow")):
            text = text.replace(there, f'"{ports[name]}"')
        return text.replace("0.0.0.0", "127.0.0.1")

    def mlflow_api(self, path: str, body: dict[str, Any], user: str = "admin") -> Any:
        server = Server(f"{self.address('mlflow')}/api/2.0/mlflow", f"{user}:{self.secrets.mlflow[user]}")
        return server.post(f"/{path}", body)


def _status(url: str, headers: dict[str, str] | None = None) -> int:
    """HTTP status of a page; 0: nobody answers."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
