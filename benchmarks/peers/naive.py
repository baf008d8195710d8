"""Event streams as they are first written with Tornado: a queue and a flush for each subscriber."""

import asyncio
import sys

from tornado.web import Application, RequestHandler

subscribers = set()


class Events(RequestHandler):
    async def get(self):
        self.set_header("Content-Type", "text/event-stream")
        queue = asyncio.Queue()
        subscribers.add(queue)
        self.write(":\n")
        await self.flush()
        while True:
            self.write(b"data: %b\n\n" % await queue.get())
            await self.flush()

    def post(self):
        for queue in subscribers:
            queue.put_nowait(self.request.body)


async def main():
    Application([("/events", Events)], log_function=lambda _: None).listen(int(sys.argv[1]), "127.0.0.1")
    await asyncio.Event().wait()


asyncio.run(main())
