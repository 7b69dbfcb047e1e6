"""The interface of AI-Northstar's openai-proxy (Flask): a key for a user name, and requests with the key in the path.

There the administrator's password stands in the query and the key in the path, where logs and histories keep them.
Here the password comes as HTTP Basic (or ADMIN_KEY as a bearer); the old ways work only with `LEGACY_ROUTES=on`. We
ourselves never log a path or a query.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NotBase64

from server.admin.commands.tokens import WantedToken
from server.http.compat.base import CompatHandler
from server.http.relay import RelayHandler
from server.ledger.limits import Limit, LimitWindow, Scope, Unit
from server.policy.authority import Power
from server.policy.commands import AlreadyThere, CommandError
from server.store.base import Caller, Person
from server.wire.errors import InvalidKey, InvalidValue, PermissionDenied

INITIAL_QUOTA = 20_000_000  # micro-USD: the first budget of a key there, until an administrator raises it
TAKEN = "Username already exists. Please try again with a different username."
WRONG = "Invalid Credentials"


class CreateApiKey(CompatHandler):
    """`/create_api_key/{username}`: a new person with a quota, and their first token, shown once."""

    async def get(self, name: str) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        caller = await self._administrator()
        if caller is None:
            self.set_status(401)
            self.set_header("WWW-Authenticate", 'Basic realm="fairgate"')
            self.finish(WRONG)
        elif (person := await self._created(caller, name)) is None:
            self.set_status(409)
            self.finish(TAKEN)
        else:
            self.finish(await self._endowed(caller, person))

    async def post(self, name: str) -> None:
        await self.get(name)

    async def _administrator(self) -> Caller | None:
        """The caller, if an administrator; the name beside the password does not matter. Raises RateLimited."""
        password = basic_password(self.request.headers.get("Authorization", ""))
        if password is None and self.services.settings.legacy_routes:
            password = self.argument("password")
        presented = f"Bearer {password}" if password is not None else self.request.headers.get("Authorization")
        try:
            caller = await self.services.accounts.authenticate(presented, None, self.address())
            if not self.services.authority(caller).may(Power.ADMINISTER):
                raise self.services.accounts.denial(caller, presented, None, self.address())
        except (InvalidKey, PermissionDenied):
            return None
        return caller

    async def _created(self, caller: Caller, name: str) -> Person | None:
        """The new person; None if the name is taken. Raises InvalidValue."""
        try:
            return await self.services.people.create(caller.person_id, name)
        except AlreadyThere:
            return None
        except CommandError:
            raise InvalidValue("username") from None

    async def _endowed(self, caller: Caller, person: Person) -> str:
        """A token of the person. The quota comes first: a token without one never exists."""
        limit = Limit(f"initial-{person.id}", Scope.PERSON, person.id, Unit.USD, LimitWindow.EVER, INITIAL_QUOTA)
        await self.services.changes.set_limit(caller.person_id, limit)
        await self.services.take_effect()
        wanted = WantedToken("create_api_key")
        return (await self.services.tokens.create(self.maker(caller), caller.person_id, person.id, wanted))[1]


class KeyInPath(RelayHandler):
    """`/{key}/v1/...`: relayed as if the key had come as a bearer. The header's credential is ignored, as there."""

    async def admit(self) -> None:
        self._presented = self.path_args.pop()
        await super().admit()

    async def authenticate(self) -> Caller:
        return await self.known_by(f"Bearer {self._presented}", None)


def basic_password(authorization: str) -> str | None:
    """The password of HTTP Basic; None if this is none."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return b64decode(encoded.strip(), validate=True).decode().partition(":")[2]
    except (NotBase64, ValueError):
        return ""
