"""Event streams with sse-starlette on uvicorn: a queue for each subscriber, as its documentation shows."""

import asyncio
import sys

import uvicorn
from sse_starlette.sse import EventSourceResponse
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

subscribers = set()


async def subscribe(_):
    queue = asyncio.Queue()
    subscribers.add(queue)

    async def events():
        yield {"comment": ""}
        while True:
            yield {"data": (await queue.get()).decode()}

    return EventSourceResponse(events())


async def publish(request):
    body = await request.body()
    for queue in subscribers:
        queue.put_nowait(body)
    return Response()


application = Starlette(
    routes=[Route("/events", subscribe, methods=["GET"]), Route("/events", publish, methods=["POST"])]
)
uvicorn.run(application, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False)
