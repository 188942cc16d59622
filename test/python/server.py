"""A server built on FastMCP that has one of everything a client may want: a tool
that answers, one that asks the user, one that takes long, and a resource. It
speaks both eras on standard input and output.
"""

import os

import anyio
from fastmcp import Context, FastMCP
from mcp.types import ElicitRequest, ElicitRequestFormParams, InputRequiredResult

# Names the environment variable with the path of a file that gets a line for
# every call of wait that was cancelled.
TRACE_VARIABLE = "MATRIX_TRACE"
# How often wait says that it still works, and how often it does so at most for a
# client that never cancels.
PACE_SECONDS = 0.1
MOST_PACES = 600

server = FastMCP("fullset-fastmcp", version="1.0.0")


@server.tool
def echo(text: str) -> str:
    """Returns the text."""
    return "echo: " + text


@server.tool
async def ask(ctx: Context) -> str | InputRequiredResult:
    """Asks the user for a name."""
    question = "Who is there?"
    if ctx.session.protocol_version < "2026-07-28":
        answer = await ctx.elicit(question, str)
        return f"{answer.action} {getattr(answer, 'data', None)}"
    answers = ctx.input_responses
    if answers and "name" in answers:
        return f"{answers['name'].action} {answers['name'].content}"
    schema = {"type": "object", "properties": {"value": {"type": "string"}}, "required": ["value"]}
    form = ElicitRequestFormParams(message=question, requested_schema=schema)
    return InputRequiredResult(input_requests={"name": ElicitRequest(params=form)})


@server.tool
async def wait(token: str, ctx: Context) -> str:
    """Waits until it is cancelled."""
    try:
        for said in range(1, MOST_PACES):
            await ctx.report_progress(said)
            await anyio.sleep(PACE_SECONDS)
    except anyio.get_cancelled_exc_class():
        with open(os.environ[TRACE_VARIABLE], "a", encoding="utf-8") as trace:
            trace.write(f"cancelled {token}\n")
        raise
    return "nobody cancelled"


@server.resource("note://today", mime_type="text/plain")
def note() -> str:
    """What is to be done today."""
    return "buy milk"


if __name__ == "__main__":
    server.run(transport="stdio", show_banner=False)
