"""``gateway ledger``: the evidence itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from gateway import log as logs
from gateway.cli.output import (
    Data,
    Json,
    console,
    counted,
    examples,
    existing,
    print_table,
    progress_bar,
    progress_console,
)
from gateway.errors import ConfigError
from gateway.ledger import LedgerFault, LedgerSummary
from gateway.ledger.proof import prove as made_proof
from gateway.ledger.sqlite import SqliteLedger, open_reader
from gateway.records import RawMessage
from gateway.store.duckdb import DuckDBStore
from gateway.times import DAY, rfc3339

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="The ledger: verify, show, prove, prune.",
)
_SHOWN_FAULTS = 20


@app.command(epilog=examples("gateway ledger verify --data data && echo intact"))
def verify(*, data: Data = Path("data"), as_json: Json = False) -> None:
    """Reads the whole ledger and says every place where it is not what was acknowledged.

    Ends with 1 when there is one. A running gateway is not disturbed.
    """
    logs.configure("error")
    with (
        open_reader(existing(data, "ledger") / "ledger") as ledger,
        progress_bar("messages") as tell,
    ):
        faults = list(ledger.verify(tell))
        summary = ledger.summary()
    if as_json:
        typer.echo(
            msgspec.json.encode(
                {
                    "intact": not faults,
                    "messages": summary.messages,
                    "batches": summary.batches,
                    "chain": summary.chain,
                    "faults": [{**msgspec.structs.asdict(f), "text": str(f)} for f in faults],
                }
            )
        )
    else:
        _tell(summary, faults)
    if faults:
        raise typer.Exit(1)


def _tell(summary: LedgerSummary, faults: list[LedgerFault]) -> None:
    for fault in faults[:_SHOWN_FAULTS]:
        typer.secho(str(fault), fg="red")
    if len(faults) > _SHOWN_FAULTS:
        typer.secho(f"and {len(faults) - _SHOWN_FAULTS} more; --json has all", fg="red")
    if faults:
        typer.echo(f"{counted(len(faults), 'fault')}: the ledger is NOT as it was acknowledged")
        return
    typer.secho("intact: ", fg="green", nl=False)
    typer.echo(
        f"{summary.messages:,} messages in {summary.batches:,} batches, offsets "
        f"{summary.first_offset} to {summary.next_offset - 1}, chain {summary.chain}"
    )


@app.command(
    epilog=examples(
        "gateway ledger show --data data",
        "gateway ledger show --data data --offset 120 --count 3 --json",
    ),
)
def show(
    *,
    data: Data = Path("data"),
    offset: Annotated[
        int | None, typer.Option(min=0, help="Show messages from this offset on.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many messages.")] = 10,
    as_json: Json = False,
) -> None:
    """Sums the ledger up, or with --offset shows messages as they came (--json: as a capture)."""
    logs.configure("error")
    with open_reader(existing(data, "ledger") / "ledger") as ledger:
        if offset is None:
            _show_summary(ledger.summary(), as_json=as_json)
            return
        messages = _messages(ledger, offset, count)
        first = next(messages, None)
        if first is None:
            raise ConfigError(
                f"--offset {offset}: the ledger has {ledger.first_offset} to "
                f"{ledger.next_offset - 1}"
            )
        for message in (first, *messages):
            _show_message(message, as_json=as_json)


def _messages(ledger: SqliteLedger, offset: int, count: int) -> Iterator[RawMessage]:
    return ledger.messages(offset, offset + count - 1)


def _show_summary(summary: LedgerSummary, *, as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.encode(summary))
        return
    times = (summary.first_received_at, summary.last_received_at)
    first, last = (rfc3339(at) if at is not None else "-" for at in times)
    print_table(
        "Ledger",
        ("what", "value"),
        [
            ("messages", f"{summary.messages:,}"),
            ("offsets", f"{summary.first_offset} to {summary.next_offset - 1}"),
            ("received", f"{first} to {last}"),
            ("batches, segments", f"{summary.batches:,}, {summary.segments:,}"),
            ("on disk", f"{summary.disk_bytes:,} bytes"),
            ("compression", f"{summary.ratio:.1f} : 1"),
            ("chain", summary.chain),
            ("unreadable", ", ".join(summary.unreadable) or "nothing"),
        ],
    )
    if summary.notes:
        rows = [(rfc3339(note.at), note.event, str(note.detail)) for note in summary.notes]
        print_table("Notes", ("at", "event", "detail"), rows)


def _show_message(message: RawMessage, *, as_json: bool) -> None:
    text = message.payload.decode("utf-8", "backslashreplace")
    if as_json:
        line = {
            "ledger_offset": message.ledger_offset,
            "received_at": rfc3339(message.received_at),
            "topic": message.topic,
        }
        try:
            line["payload"] = message.payload.decode()
        except UnicodeDecodeError:
            line["payload_hex"] = message.payload.hex()
        typer.echo(msgspec.json.encode(line))
        return
    out = console()
    out.print(f"{message.ledger_offset}  {rfc3339(message.received_at)}  ", end="", style="dim")
    out.print(message.topic, style="cyan", markup=False)
    out.print(
        "    " + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text), markup=False
    )


@app.command(epilog=examples("gateway ledger prove 8606 --data data -o batch.msgpack"))
def prove(
    offset: Annotated[int, typer.Argument(min=0, help="The message.")],
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write.")],
    data: Data = Path("data"),
    as_json: Json = False,
) -> None:
    """Writes the batch that holds a message as it was hashed, and says how to check it.

    The file's SHA-256 is the batch's content hash, the message's payload stands in it, and the
    chain hash is SHA-256 over what is told: `sha256sum` alone checks all of it. It holds the other
    messages of the batch, too. Ends with 1 where the ledger is not what its hashes say.
    """
    logs.configure("error")
    proof = made_proof(existing(data, "ledger") / "ledger", offset)
    out.write_bytes(proof.content)
    told = {
        "ledger_offset": offset,
        "batch": proof.row.batch,
        "content_sha256": proof.row.content_hash.hex(),
        "payload_sha256": proof.payload_sha256,
        "payload_at": proof.payload_at,
        "payload_size": len(proof.message.payload),
        "chain_preimage": proof.preimage.hex(),
        "chain": proof.row.chain.hex(),
        "fault": proof.fault,
    }
    if as_json:
        typer.echo(msgspec.json.encode(told))
    else:
        print_table(f"Message {offset}", ("what", "value"), list(told.items()))
    if proof.fault is not None:
        raise typer.Exit(1)


@app.command(epilog=examples("gateway ledger prune --data data --keep-days 90"))
def prune(
    *,
    data: Data = Path("data"),
    keep_days: Annotated[
        float | None, typer.Option(min=0, help="Prune messages older than this.")
    ] = None,
    keep_bytes: Annotated[
        int | None, typer.Option(min=0, help="Prune the oldest while the ledger is larger.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Deletes the oldest messages that are decided; the chain notes it and stays verifiable.

    Whole segments go, never one with a message that a restart would need. The gateway must be
    stopped; a running one prunes by its own settings (ledger.keep_days, ledger.keep_bytes).
    """
    if keep_days is None and keep_bytes is None:
        raise ConfigError("ledger prune: say --keep-days or --keep-bytes, or both")
    logs.configure("warning")
    existing(data, "store.duckdb")
    with SqliteLedger(existing(data, "ledger") / "ledger") as ledger:
        store = DuckDBStore(data / "store.duckdb", read_only=True)
        try:
            checkpoint = store.checkpoint()
        finally:
            store.close()
        pruned = ledger.prune(
            keep_from_offset=checkpoint.snapshot_offset,
            max_age=None if keep_days is None else round(keep_days * DAY),
            max_bytes=keep_bytes,
        )
    if as_json:
        typer.echo(msgspec.json.encode(pruned))
        return
    if not pruned.messages:
        progress_console().print("nothing was due (whole segments only, and only decided ones)")
    typer.echo(
        f"{pruned.messages:,} messages pruned, {pruned.bytes:,} bytes; "
        f"the ledger begins at {pruned.first_offset}"
    )
