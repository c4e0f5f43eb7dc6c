"""Runs schemathesis as every role, and holds recorded answers against the document. `run.py PLAN DIR`.

PLAN is JSON: `base`, the daemon's address; `roles`, each with its cookie; `places`, of each name in a path something that is
there; `phases` of schemathesis, and `examples`, how many of each operation when it fuzzes; `walked`, answers that were recorded
elsewhere. Ends with 1 where anything is wrong, and says what.
"""

import base64
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys

import requests
import schemathesis

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
# Signing out ends the session that the others are asked with; the recorded answers have it.
LEFT_OUT = "delete_session"
RUN_LIMIT_S = 900
AT_ONCE = 7
# As often as the daemon takes changes of one address (src/http/rates.rs), so that it is asked and does not only say to wait.
RATE = "20/s"


def settings(plan):
    """A configuration with objects that are there in the place of made-up ones. Methods that the document does not have are
    tried elsewhere (tests/openapi.rs): it has no place to declare what they are told."""
    lines = ["[phases.coverage]", "unexpected-methods = []", "[parameters]"]
    lines += [f'"path.{name}" = {json.dumps(place)}' for name, place in plan["places"].items()]
    return "\n".join(lines) + "\n"


def fuzz(plan, number, role, dir):
    """Runs schemathesis as one role; what went wrong, as text."""
    headers = {"Origin": plan["base"]}
    if role["cookie"]:
        headers["Cookie"] = role["cookie"]
    call = [
        str(pathlib.Path(sys.executable).with_name("schemathesis")), "--config-file", str(dir / "schemathesis.toml"), "run",
        plan["base"] + "/v1/openapi.json", "--phases", plan["phases"], "--checks", CHECKS, "--max-examples", plan["examples"],
        "--exclude-operation-id", LEFT_OUT, "--continue-on-failure", "--seed", "1", "--suppress-health-check", "all",
        "--generation-database", "none", "--generation-with-security-parameters", "false", "--no-color",
        "--output-sanitize", "false", "--warnings", "off", "--rate-limit", RATE, "--request-timeout", "60",
    ]
    for name, value in headers.items():
        call += ["--header", f"{name}: {value}"]
    own = {"SCHEMATHESIS_HOOKS": str(pathlib.Path(__file__).with_name("own_address.py")), "SOURCE": f"127.0.0.{number + 2}"}
    place = dir / role["role"]
    place.mkdir()
    told = subprocess.run(call, capture_output=True, text=True, timeout=RUN_LIMIT_S, cwd=place, env=os.environ | own)
    lines = told.stdout.strip().splitlines()
    print(f"{role['role']}:", *[line for line in lines if "generated" in line or "issues" in line], sep="\n  ")
    if told.returncode == 0:
        # A run in which nothing was asked would find nothing.
        return "" if "generated" in told.stdout else f"as {role['role']} nothing was asked: {told.stdout}"
    return f"as {role['role']}: {told.stdout}{told.stderr}"


def answer(plan, one):
    """A recorded answer, as schemathesis would have it."""
    asked = requests.Request(one["method"], plan["base"] + one["place"]).prepare()
    return schemathesis.Response(
        status_code=one["status"], headers=one["headers"], content=base64.b64decode(one["body"]), request=asked, elapsed=0.0,
        verify=True,
    )


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
    (dir / "schemathesis.toml").write_text(settings(plan))
    with concurrent.futures.ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        runs = [pool.submit(fuzz, plan, number, role, dir) for number, role in enumerate(plan["roles"])]
    wrong = [told for run in runs if (told := run.result())]
    if plan["walked"]:
        document = json.loads((pathlib.Path(__file__).parents[2] / "docs/openapi.json").read_text())
        wrong += hold(plan, document)
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


sys.exit(main())
