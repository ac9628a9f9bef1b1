"""The API does what its OpenAPI document says: schemathesis against a running unit."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.integration.programs import API_TOKEN, demo

SECONDS = 35
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "ignored_auth",
)
ENDLESS = "/(events|levels)$"  # server-sent events
ENDS_THE_UNIT = ("/api/restart", "/api/reset")  # and with it the run; their own tests make them


@pytest.mark.timeout(180)
async def test_no_answer_is_a_server_error_or_undocumented(tmp_path: Path) -> None:
    settings = '[checks]\nnegative_data_rejection.expected-statuses = ["4xx", "5xx"]\n'  # its own list has no 413
    (tmp_path / "schemathesis.toml").write_text(settings)
    async with demo(tmp_path / "state") as unit:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{unit.url}/api/openapi.json"),
            *("--header", f"Authorization: Bearer {API_TOKEN}", "--checks", ",".join(CHECKS)),
            *("--phases", "coverage,fuzzing", "--seed", "1", "--max-examples", "4", "--max-time", str(SECONDS)),
            *("--exclude-path-regex", ENDLESS, *(part for path in ENDS_THE_UNIT for part in ("--exclude-path", path))),
            *("--request-timeout", "10", "--no-shrink", "--suppress-health-check", "all", "--warnings", "off"),
            *("--generation-database", "none", "--no-color"),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(3 * SECONDS):
                told, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, told.decode()[-8000:]
        assert "No issues found" in told.decode()
        assert (await unit.get("/healthz")) == {"status": "ok"}
        assert "failed\nTraceback" not in unit.log.read_text()


async def test_the_document_has_every_json_route_and_nobody_needs_a_token_for_it(tmp_path: Path) -> None:
    async with (
        demo(tmp_path) as unit,
        aiohttp.ClientSession() as stranger,
        stranger.get(f"{unit.url}/api/openapi.json") as got,
    ):
        assert got.status == 200
        document = await got.json()
    assert document["openapi"] == "3.1.0"
    for path in ("/api/state", "/api/auth/login", "/api/setup/claim", "/api/config", "/api/network", "/admin/rooms"):
        assert path in document["paths"]
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all(operation["summary"] for operation in operations)
