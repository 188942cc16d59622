"""Drives the Python SDK over Streamable HTTP. Input, output and steps are those of
the TypeScript drivers, see ../ts/steps.mjs.
"""

import json
import sys
import warnings

import anyio
from mcp import Client, types

STEP_SECONDS = 60  # how long one step may take; what takes longer has failed
UPDATE_SECONDS = 10  # how long an update may take; one server sends one every three seconds
MODES = {"legacy": "legacy", "auto": "auto", "modern": "2026-07-28"}
SAMPLED = types.CreateMessageResult(
    role="assistant", model="none", content=types.TextContent(type="text", text="sampled by the client")
)


class Run:
    """One target: a connection and what its steps wait for."""

    def __init__(self, target: dict, job: dict):
        self.target = target
        self.name = job["client"]
        self.era = job["era"]
        self.results = {}
        self.answer = None
        self.asked = None  # set while a call is to be cancelled when its server asks
        self.send_update, self.updates = anyio.create_memory_object_stream(16)

    async def steps(self, done: anyio.Event, ended: anyio.Event) -> None:
        """Sets done when all steps have their result, and closes when ended is set."""
        try:
            client = Client(
                self.target["url"],
                mode=MODES[self.era],
                cache=None,
                client_info=types.Implementation(name=self.name, version="1.0.0"),
                elicitation_callback=self.elicit,
                sampling_callback=self.sample,
                message_handler=self.message,
            )
            async with client:
                for step in self.target["steps"]:
                    self.results[step["op"]] = await self.step(client, step)
                done.set()
                await ended.wait()
        except Exception as error:
            for step in self.target["steps"]:
                self.results.setdefault(step["op"], {"error": reason(error)})
        finally:
            done.set()

    async def step(self, client: Client, step: dict) -> dict:
        try:
            with anyio.fail_after(STEP_SECONDS):
                return {"text": await getattr(self, "do_" + step["op"])(client, step)}
        except Exception as error:
            return {"error": reason(error)}

    async def do_list(self, client: Client, _step: dict) -> str:
        return " ".join(tool.name for tool in (await client.list_tools()).tools)

    async def do_call(self, client: Client, step: dict) -> str:
        return text_of(await client.call_tool(step["tool"], step.get("arguments", {})))

    async def do_read(self, client: Client, step: dict) -> str:
        return " ".join(part.text for part in (await client.read_resource(step["uri"])).contents)

    async def do_subscribe(self, client: Client, step: dict) -> str:
        if client.protocol_version < "2026-07-28":
            await client.subscribe_resource(step["uri"])
            await self.trigger(client, step)
            with anyio.fail_after(UPDATE_SECONDS):
                return f"updated {await self.updates.receive()}"
        async with client.listen(resource_subscriptions=[step["uri"]]) as subscription:
            await self.trigger(client, step)
            with anyio.fail_after(UPDATE_SECONDS):
                async for event in subscription:
                    return f"updated {event.uri}"
        raise RuntimeError("the subscription ended without an update")

    async def trigger(self, client: Client, step: dict) -> None:
        if "tool" in step:
            await client.call_tool(step["tool"], step.get("arguments", {}))

    async def do_elicit(self, client: Client, step: dict) -> str:
        self.answer = step["answer"]
        return await self.do_call(client, step)

    async def do_sample(self, client: Client, step: dict) -> str:
        return await self.do_call(client, step)

    async def do_cancel(self, client: Client, step: dict) -> str:
        answers = []
        async with anyio.create_task_group() as group:

            async def stop(*_):
                group.cancel_scope.cancel()

            if step.get("when") == "asked":
                self.asked = group
            answers.append(text_of(await client.call_tool(
                step["tool"], step.get("arguments", {}), progress_callback=None if self.asked else stop)))
        self.asked = None
        if answers:
            raise RuntimeError(f"not cancelled, answered {answers[0]}")
        await client.list_tools()  # the connection outlives the call
        return "cancelled"

    async def elicit(self, _context, _params) -> types.ElicitResult:
        if self.asked:
            self.asked.cancel_scope.cancel()
            await anyio.sleep_forever()
        return types.ElicitResult(action="accept", content=self.answer)

    async def sample(self, _context, _params) -> types.CreateMessageResult:
        return SAMPLED

    async def message(self, message) -> None:
        if isinstance(message, types.ResourceUpdatedNotification):
            await self.send_update.send(message.params.uri)


def text_of(result: types.CallToolResult) -> str:
    said = " ".join(getattr(block, "text", block.type) for block in result.content)
    if result.is_error:
        raise RuntimeError(f"tool error: {said}")
    return said


def reason(error: BaseException) -> str:
    """The innermost message of an error or group of errors."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__


async def main() -> None:
    job = json.loads(sys.stdin.readline())
    runs = [Run(target, job) for target in job["targets"]]
    ended = anyio.Event()
    async with anyio.create_task_group() as group:
        done = [anyio.Event() for _ in runs]
        for run, event in zip(runs, done, strict=True):
            group.start_soon(run.steps, event, ended)
        for event in done:
            await event.wait()
        print(json.dumps({run.target["name"]: run.results for run in runs}), flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read)
        ended.set()


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # what 2026-07-28 deprecates is used on purpose
    anyio.run(main)
