"""`python -m bench.peers`: install LiteLLM, Portkey and nginx, measure them and the gateway in turns, and write the
page.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from bench import bars, children, page, report
from bench.comparison import Comparison, compare
from bench.gateway import Backing, Subject, everything_on, shared_key
from bench.load import LoadError
from bench.measure import QUICK, THOROUGH, Pace
from bench.peers import litellm, nginx, portkey
from bench.stand import stand

Peer = Callable[[Backing, Path], AbstractAsyncContextManager[Subject]]
PEERS: dict[str, Peer] = {
    portkey.NAME: portkey.portkey,
    litellm.NAME: litellm.litellm,
    nginx.NAME: nginx.nginx,
}
NOTES = f"""
Medians of the rounds, their range in parentheses; in each round the gateways take turns. nginx answers more than the
load generator asks for, so that its core is not full: the bar takes its requests per second of CPU, and ours as they
were answered. nginx passes bytes on and knows no token, no limit and no ledger; it writes no access log here. Portkey
knows no token and keeps no ledger either. LiteLLM has a master key and prices, and no database.

Portkey {portkey.GATEWAY} with @hono/node-server {portkey.SERVER}, LiteLLM {litellm.VERSION}, nginx of Debian; the
configurations are the templates in `bench/peers`.
"""


def main() -> int:
    """Parse the options, measure, print, write."""
    options = _options()
    try:
        found = children.run(_measure(QUICK if options.quick else THOROUGH))
    except (LoadError, TimeoutError, asyncio.CancelledError) as error:
        print(f"nothing to measure: {error or repr(error)}", file=sys.stderr)
        return 2
    lines = [*bars.of_the_gateway(found), *bars.beside_peers(found)]
    print("\n".join([*found.table(bars.PORTKEY, bars.NGINX), "", *found.reasons(), "", report.table(lines)]))
    if not options.dry:
        command = "make bench-peers" + (" ARGS=--quick" if options.quick else "")
        page.write("peers", command, body(found, lines))
    return 0 if all(line.kept for line in lines) else 1


def body(found: Comparison, lines: list[report.Line]) -> list[str]:
    """The section of the page."""
    table = found.table(bars.PORTKEY, bars.NGINX)
    return [*report.markdown(lines), "", *table, *NOTES.splitlines(), "", *found.reasons()]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round, shorter: about two minutes once installed")
    parser.add_argument("--dry", action="store_true", help=f"leave {page.PAGE} as it is")
    return parser.parse_args()


async def _measure(pace: Pace) -> Comparison:
    print("what is missing is installed first", file=sys.stderr)
    async with stand() as (backing, place), contextlib.AsyncExitStack() as stack:
        subjects = [
            await stack.enter_async_context(everything_on(backing, place / "on")),
            await stack.enter_async_context(shared_key(backing, place / "shared")),
        ]
        missing: dict[str, str] = {}
        for name, peer in PEERS.items():
            print(f"{name} starts", file=sys.stderr)
            try:
                subjects.append(await stack.enter_async_context(peer(backing, place / name.lower())))
            except LoadError as error:
                missing[name] = " ".join(str(error).split())[:300]
                print(f"{name}: {missing[name]}", file=sys.stderr)
        found = await compare(subjects, backing.plain, pace)
        found.missing |= missing
        return found


if __name__ == "__main__":
    sys.exit(main())
