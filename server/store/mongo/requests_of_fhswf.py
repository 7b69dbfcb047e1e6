"""The database of fhswf's openai-proxy, only read: who has asked there."""

from __future__ import annotations

from server.policy.commands import CommandError
from server.store.mongo.connect import Document, aggregated, border, check_url, connect, disconnect

DATABASE = "accounting"  # where the URI names none


async def users_of(uri: str, driver: str) -> list[Document]:
    """Each user of the collection `requests` once, as the last request says who they are. Raises CommandError."""
    try:
        check_url(uri)
    except ValueError as error:
        raise CommandError(str(error).replace("the store's URL", "the URI")) from None
    client, _ = connect(uri, driver)
    try:
        requests = client.get_default_database(DATABASE).requests
        by_subject = {"_id": "$user.sub", "user": {"$last": "$user"}}
        with border():
            found = await aggregated(requests, [{"$sort": {"date": 1}}, {"$group": by_subject}])
        return [each["user"] for each in found if isinstance(each.get("user"), dict)]
    finally:
        await disconnect(client)
