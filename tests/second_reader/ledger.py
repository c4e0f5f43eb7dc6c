"""Section 9 of docs/format.md: ledger files, verified."""

import json
from hashlib import sha256
from pathlib import Path

from sealing import Refused, is_signed
from stored import refuse_unless

HEX_DIGITS = frozenset("0123456789abcdef")


def split_line(line: bytes) -> tuple[bytes, bytes]:
    digits, space, text = line[:64], line[64:65], line[65:]
    refuse_unless(space == b" " and set(digits.decode("latin-1")) <= HEX_DIGITS, "is no row")
    return bytes.fromhex(digits.decode()), text


def parse_row(text: bytes) -> dict:
    try:
        row = json.loads(text)
        return row if isinstance(row["sequence"], int) and isinstance(row["act"]["kind"], str) else None
    except (ValueError, KeyError, TypeError):
        raise Refused("is no row") from None


def signed_bytes(act: dict) -> bytes:
    manifests = [
        {"volume": told["volume"], "manifest": told["manifest"],
         "head": {"records": told["head"]["records"], "digest": told["head"]["digest"]}}
        for told in act["manifests"]
    ]
    signed = {"site": act["site"], "sequence": act["sequence"], "head": act["head"], "manifests": manifests,
              "signature": None}
    text = json.dumps(signed, separators=(",", ":"), ensure_ascii=False)
    return b"custodian checkpoint 1" + text.encode()


def split_end(content: bytes) -> tuple[bytes, bytes]:
    """All but the last line, and that."""
    end = content[:-1].rfind(b"\n") + 1
    return content[:end], content[end:]


def read_lines(told: bytes, fields: set[str], counted: str) -> tuple[dict, list[dict]]:
    """A header of these fields, then as many rows as it says."""
    lines = told.split(b"\n")[:-1]
    header = json.loads(lines[0])
    refuse_unless(set(header) == fields, "has other fields")
    refuse_unless(header["version"] == 1 and header[counted] == len(lines) - 1, "is not whole")
    rows = [parse_row(split_line(line)[1]) for line in lines[1:]]
    refuse_unless(all(row is not None for row in rows), "is no row")
    return header, rows


def read_root(name: str | None, content: bytes) -> dict:
    """What is carried on of months that are erased: a header, rows as they stood, and a digest over it all."""
    told, last = split_end(content)
    refuse_unless(last == b"end " + sha256(told).hexdigest().encode() + b"\n", "is not whole")
    header, rows = read_lines(told, {"version", "site", "month", "last", "head", "rows"}, "rows")
    refuse_unless(name in (None, f"root-{header['month']}"), "is another month's")
    return header | {"acts": [row["act"] for row in rows], "digest": sha256(content).hexdigest()}


def read_sum(content: bytes, signer: bytes) -> dict:
    """What a month adds up to, signed by the site."""
    told, last = split_end(content)
    refuse_unless(last.startswith(b"signature ") and last.endswith(b"\n"), "is not signed")
    signed = b"custodian ledger sum 1" + sha256(told).digest()
    refuse_unless(is_signed(signer, bytes.fromhex(last[10:].decode()), signed), "is not signed by the site")
    fields = {"version", "site", "month", "bytes", "first", "last", "previous", "head", "kept", "others"}
    header, rows = read_lines(told, fields, "kept")
    return header | {"rows": len(rows)}


class Ledger:
    """Takes rows in order; refuses the first that does not fit."""

    def __init__(self, signer: bytes | None, root: dict | None = None):
        self.root, self.roots = root, []
        self.signer, self.site, self.head, self.sequence = signer, None, None, None
        self.rows, self.checkpoints, self.checked = 0, 0, 0
        self.newest_checkpoint: dict | None = None
        if root is not None:
            self.site, self.head, self.sequence = root["site"], bytes.fromhex(root["head"]), root["last"]
            made = [act for act in root["acts"] if act["kind"] == "site-made"]
            self.signer = self.signer or (bytes.fromhex(made[0]["signer"]) if made else None)
        self.acts: list[dict] = list(root["acts"]) if root else []
        self.times: list[str] = []

    def take(self, line: bytes, begins_file: bool) -> None:
        digest, text = split_line(line)
        row = parse_row(text)
        refuse_unless(row is not None, "is no row")
        act, sequence = row["act"], row["sequence"]
        refuse_unless(not begins_file or act["kind"] == "file-opened", "does not begin a file")
        if begins_file:
            previous = bytes.fromhex(act["previous"])
            refuse_unless(self.site in (None, act["site"]), "is another site's")
            refuse_unless(self.head in (None, previous) and self.sequence in (None, sequence - 1),
                          "does not go on from the file before")
            self.site, self.head, self.sequence = act["site"], previous, sequence - 1
        chained = sha256(b"custodian ledger 1" + self.head + text).digest()
        refuse_unless(chained == digest, "was changed")
        refuse_unless(sequence == self.sequence + 1, f"has number {sequence} in place of {self.sequence + 1}")
        if act["kind"] == "site-made" and self.signer is None:
            self.signer = bytes.fromhex(act["signer"])
        if act["kind"] == "checkpoint":
            self._check(act)
        if act["kind"] == "ledger-month-ending":
            self.roots.append(act)
        self.head, self.sequence, self.rows = digest, sequence, self.rows + 1
        self.acts.append(act)
        self.times.append(row["at"])

    def _check(self, act: dict) -> None:
        holds = (act["site"], act["sequence"], act["head"]) == (self.site, self.sequence, self.head.hex())
        refuse_unless(holds, "is a checkpoint that does not hold for the rows before it")
        self.checkpoints += 1
        if self.signer is not None:
            refuse_unless(is_signed(self.signer, bytes.fromhex(act["signature"]), signed_bytes(act)),
                          "is a checkpoint that the site did not sign")
            self.checked += 1
        self.newest_checkpoint = act


def read_ledger(files: list[Path], signer: bytes | None) -> tuple[Ledger, dict]:
    """Verifies files; what is told of them names the first bad row. Months up to the newest root are erased."""
    told = {"ok": True, "torn_bytes": 0, "file": None, "row": None, "what": None}
    root = None
    for path in sorted((path for path in files if path.name.startswith("root-")), key=lambda path: path.name):
        try:
            root = read_root(path.name, path.read_bytes())
        except Refused:
            pass  # A power cut tore it: the one before counts.
    files = [path for path in files if path.name.endswith(".ledger") and not (root and path.name[:7] <= root["month"])]
    ledger = Ledger(signer, root)
    for path in sorted(files, key=lambda path: path.name):
        lines = path.read_bytes().split(b"\n")
        told["torn_bytes"] += len(lines.pop())
        for number, line in enumerate(lines, 1):
            try:
                ledger.take(line, number == 1)
            except Refused as e:
                told |= {"ok": False, "file": str(path), "row": number, "what": str(e)}
                break
        if not told["ok"]:
            break
    if root and told["ok"] and root["digest"] not in [act["carried"] for act in ledger.roots]:
        told |= {"ok": False, "file": f"root-{root['month']}", "row": 1, "what": "is not what a row says of it"}
    head = ledger.head.hex() if ledger.head else None
    told |= {"rows": ledger.rows, "checkpoints": ledger.checkpoints, "signatures_checked": ledger.checked, "head": head}
    return ledger, told
