"""A stand-in for S3, ABFS and GCS: an asynchronous fsspec filesystem, in a local folder."""

from __future__ import annotations

import asyncio
import io
import os
import threading
from pathlib import Path
from typing import Any

import fsspec
from fsspec.asyn import AsyncFileSystem
from fsspec.spec import AbstractBufferedFile

PROTOCOL = "oci"  # one that Kedro knows as a cloud's, and that nothing installed here serves
ROOT = "ASYNC_FILES_ROOT"  # the environment variable that names the folder


class CloudFileSystem(AsyncFileSystem):  # type: ignore[misc]
    """Like the real ones: operations are coroutines on the event loop of a thread.

    And like theirs its loop, with the connections that belong to it, is of no use in a process
    that was forked: only there is the thread that runs it missing.
    """

    protocol = PROTOCOL
    root_marker = ""

    def _local(self, path: str) -> Path:
        inside: str = self._strip_protocol(path).lstrip("/")
        return Path(os.environ[ROOT]) / inside

    async def _travel(self) -> None:
        await asyncio.sleep(0)
        assert threading.current_thread() is not threading.main_thread()

    async def _info(self, path: str, **_: Any) -> dict[str, Any]:
        await self._travel()
        path = self._strip_protocol(path)
        local = self._local(path)
        if not local.exists():
            raise FileNotFoundError(path)
        kind = "directory" if local.is_dir() else "file"
        return {"name": path, "size": local.stat().st_size, "type": kind}

    async def _ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        await self._travel()
        path = self._strip_protocol(path)
        if path in self.dircache:  # as the real ones do, for better or worse
            found = self.dircache[path]
        else:
            local = self._local(path)
            if not local.is_dir():
                raise FileNotFoundError(path)
            found = [await self._info(f"{path}/{each.name}") for each in local.iterdir()]
            self.dircache[path] = found
        return found if detail else [each["name"] for each in found]

    def invalidate_cache(self, path: str | None = None) -> None:
        self.dircache.clear()

    async def _cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **_: Any
    ) -> bytes:
        await self._travel()
        try:
            return self._local(path).read_bytes()[start:end]
        except IsADirectoryError as error:
            raise FileNotFoundError(path) from error

    async def _pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: Any) -> None:
        await self._travel()
        local = self._local(path)
        local.parent.mkdir(parents=True, exist_ok=True)
        local.write_bytes(value)
        self.invalidate_cache()

    async def _put_file(self, lpath: str, rpath: str, mode: str = "overwrite", **_: Any) -> None:
        await self._pipe_file(rpath, Path(lpath).read_bytes())

    async def _rm_file(self, path: str, **_: Any) -> None:
        await self._travel()
        self._local(path).unlink()
        self.invalidate_cache()

    async def _mkdir(self, path: str, create_parents: bool = True, **_: Any) -> None:
        """Folders come with their files."""

    async def _makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Folders come with their files."""

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        if mode == "rb":
            return io.BytesIO(self.cat_file(path))
        return CloudFile(self, path, mode, **kwargs)


class CloudFile(AbstractBufferedFile):  # type: ignore[misc]
    """A file that is written in one go when it is closed."""

    def _initiate_upload(self) -> None:
        self._parts: list[bytes] = []

    def _upload_chunk(self, final: bool = False) -> bool:
        self._parts.append(self.buffer.getvalue())
        if final:
            self.fs.pipe_file(self.path, b"".join(self._parts))
        return True


fsspec.register_implementation(PROTOCOL, CloudFileSystem, clobber=True)
