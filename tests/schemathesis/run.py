"""Runs schemathesis as every role, and holds recorded answers against the document. `run.py PLAN DIR`.

PLAN is JSON: `base`, the daemon's address; `roles`, each with its cookie; `places`, of each name in a path something that is
there; `examples`, how many of each operation; `walked`, answers that were recorded elsewhere. Ends with 1 where anything is
wrong, and says what.
"""

import base64
import json
import pathlib
import subprocess
import sys

import requests
import schemathesis

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
# Signing out ends the session that the others are asked with; the recorded answers have it.
LEFT_OUT = "delete_session"
RUN_LIMIT_S = 600


def settings(plan):
    """A configuration with objects that are there in the place of made-up ones."""
    lines = ["[parameters]"]
    lines += [f'"path.{name}" = {json.dumps(place)}' for name, place in plan["places"].items()]
    return "\n".join(lines) + "\n"


def fuzz(plan, role, dir):
    """Runs schemathesis as one role; what went wrong, as text."""
    config = dir / "schemathesis.toml"
    config.write_text(settings(plan))
    headers = {"Origin": plan["base"]}
    if role["cookie"]:
        headers["Cookie"] = role["cookie"]
    call = [
        str(pathlib.Path(sys.executable).with_name("schemathesis")), "--config-file", str(config), "run",
        plan["base"] + "/v1/openapi.json", "--phases", "examples,coverage,fuzzing", "--checks", CHECKS,
        "--max-examples", str(plan["examples"]), "--exclude-operation-id", LEFT_OUT, "--continue-on-failure",
        "--seed", "1", "--suppress-health-check", "all", "--generation-database", "none", "--no-color",
        "--output-sanitize", "false", "--rate-limit", "300/s",
    ]
    for name, value in headers.items():
        call += ["--header", f"{name}: {value}"]
    told = subprocess.run(call, capture_output=True, text=True, timeout=RUN_LIMIT_S, cwd=dir)
    print(f"{role['role']}:", *told.stdout.strip().splitlines()[-12:], sep="\n  ")
    return "" if told.returncode == 0 else f"as {role['role']}: {told.stdout}{told.stderr}"


def answer(plan, one):
    """A recorded answer, as `requests` would have it."""
    response = requests.Response()
    response.status_code = one["status"]
    for name, values in one["headers"].items():
        response.headers[name] = ", ".join(values)
    response._content = base64.b64decode(one["body"])
    response.request = requests.Request(one["method"], plan["base"] + one["place"]).prepare()
    response.url = response.request.url
    return response


def hold(plan, document):
    """Holds each recorded answer against the document; what is wrong."""
    schema = schemathesis.openapi.from_dict(document)
    wrong = []
    well = set()
    for one in plan["walked"]:
        name = f"{one['method']} {one['route']}"
        declared = document["paths"][one["route"]][one["method"].lower()]["responses"]
        if str(one["status"]) not in declared:
            wrong.append(f"{name}: {one['status']} is not declared")
            continue
        if 200 <= one["status"] < 300:
            well.add((one["method"], one["route"]))
        try:
            schema[one["route"]][one["method"]].validate_response(answer(plan, one))
        except Exception as e:
            wrong.append(f"{name}: {one['status']}: {e}")
    routes = {(method.upper(), route) for route, item in document["paths"].items() for method in item}
    wrong += [f"{method} {route}: it was never answered well" for method, route in sorted(routes - well)]
    print(f"{len(plan['walked'])} recorded answers, {len(well)} of {len(routes)} routes answered well")
    return wrong


def main():
    plan = json.loads(pathlib.Path(sys.argv[1]).read_text())
    dir = pathlib.Path(sys.argv[2])
    wrong = [told for role in plan["roles"] if (told := fuzz(plan, role, dir))]
    if plan["walked"]:
        document = json.loads((pathlib.Path(__file__).parents[2] / "docs/openapi.json").read_text())
        wrong += hold(plan, document)
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


sys.exit(main())
