"""Three jobs at a time, followed as they go."""

import asyncio

from nox_client import AsyncClient, AsyncJob


async def followed(job: AsyncJob) -> str:
    """What happens to a job, in a line."""
    return " ".join([event.type.split(".")[2] async for event in job.events()])


async def main() -> None:
    async with AsyncClient() as nox:
        jobs = [await nox.run("xtb_hello", text=name) for name in ("ada", "grace", "mary")]
        for line in await asyncio.gather(*map(followed, jobs)):
            print(line)


asyncio.run(main())
