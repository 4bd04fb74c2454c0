"""`/openapi.json` in the hands of generators: clients that they make run jobs."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from http_api import Api

pytestmark = pytest.mark.docker

SECONDS_MAX = 120
DOUBLE = "print(int(input()) * 2)"
JOB = {"language": "python", "source": DOUBLE, "stdin": "21\n"}


def generate(*words: object, folder: Path) -> None:
    """Run a generator; whatever it has to say of the document is a failure."""
    command = [sys.executable, "-m", *map(str, words)]
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def document(api: Api, tmp_path: Path) -> Path:
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(api.get("/openapi.json")))
    return path


@pytest.fixture
def generated(
    document: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Return what the generator of this name makes, imported."""
    folder = document.parent
    name = f"made_by_{request.param}"
    options = {
        "datamodel_code_generator": (
            *("--input", document, "--input-file-type", "openapi"),
            *("--output", folder / f"{name}.py", "--formatters", "builtin"),
            *("--output-model-type", "pydantic_v2.BaseModel"),
        ),
        "openapi_python_client": (
            *("generate", "--path", document, "--output-path", folder / name),
            *("--meta", "none", "--fail-on-warning", "--config", folder / "config.yml"),
        ),
    }[request.param]
    (folder / "config.yml").write_text("post_hooks: []\n")
    generate(request.param, *options, folder=folder)
    monkeypatch.syspath_prepend(str(folder))
    return importlib.import_module(name)


@pytest.mark.parametrize("generated", ["datamodel_code_generator"], indirect=True)
def test_models_of_datamodel_codegen(api: Api, generated: Any) -> None:
    request = generated.SourceRequest(**JOB)
    answer = api.post(json.loads(request.model_dump_json()), Prefer="wait=20")
    job = generated.Job(**answer.document)

    assert answer.status == 200
    assert (job.outcome.value, job.stdout) == ("success", "42\n")
    files = [{"name": "main.py", "content": "print(7)"}]
    in_files = generated.FilesRequest(language="python", files=files)
    api.post(json.loads(in_files.model_dump_json()))
    generated.Languages(**api.get("/v1/languages"))
    generated.Readiness(**api.get("/readyz"))


@pytest.mark.parametrize("generated", ["openapi_python_client"], indirect=True)
def test_a_client_of_openapi_python_client(api: Api, generated: Any) -> None:
    name = generated.__name__
    jobs = {
        one: importlib.import_module(f"{name}.api.jobs.{one}").sync_detailed
        for one in ("submit_job", "get_job", "follow_job", "write_stdin", "cancel_job")
    }
    models = importlib.import_module(f"{name}.models")
    kinds = importlib.import_module(f"{name}.types")
    client = generated.Client(base_url=f"http://127.0.0.1:{api.port}")
    body = models.SourceRequest.from_dict({**JOB, "stdin": "", "stdin_open": True})
    job_id = jobs["submit_job"](client=client, body=body).parsed.id

    typed, end = kinds.File(payload=b"21\n"), models.WriteStdinEnd("1")
    answer = jobs["write_stdin"](job_id, client=client, body=typed, end=end)
    assert answer.status_code == 202
    stream = jobs["follow_job"](job_id, client=client).parsed
    assert '{"text":"42\\n"}' in stream
    assert "event: finished" in stream
    shown = jobs["get_job"](job_id, client=client).parsed
    assert (shown.outcome, shown.stdout) == ("success", "42\n")
    assert jobs["cancel_job"](job_id, client=client).status_code == 200
