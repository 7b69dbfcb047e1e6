"""Between dialects: a request as its model's provider takes it, and the answer as its caller understands it.

    request   request_from_chat | _messages | _responses   ->  terms.Asked   ->  request_to_chat | _messages
    answer    answer_from_chat | _messages   ->  terms.Teller   ->  answer_to_chat | _messages | _responses

So three dialects need a reader and a writer each, and what is in the middle is in the words of none (`terms.py`). Each
reader checks each object against the one table of fields (`fields.py`): what it does not name is refused.
`translation.py` is the door; a plain answer and a stream come by the same way, as calls on a teller.

How it is used. `relay/admission.py` knows who serves a model: where no key does in the caller's dialect, but one in
the other, `relay/translating.py` makes it a call of that endpoint. All that follows (estimate, hold, queue,
meter, bill) sees the request that goes out; the meter observes the upstream's own bytes, in `wire/relay.py`, and
`passing.py` stands behind it and writes the caller's. What is refused keeps its status and gets the caller's envelope.
The native dialect never comes here. A provider of OpenAI's dialect is taken to serve both chats and responses; the
operator says where one serves no responses (`UpstreamSpec.responses`), and then these are translated to its chats.
"""
