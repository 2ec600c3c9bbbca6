"""Calls a ruthan service over HTTP: `Client`, or `AsyncClient` for use in coroutines.

>>> from ruthan.client import Client
>>> with Client("http://127.0.0.1:8000") as client:  # doctest: +SKIP
...     print(client.scan("ประชุมพรุ่งนี้เก้าโมงที่ห้องเดิมนะครับ").label)
benign
"""

try:
    import httpx as _httpx
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"{error.name} is not installed; run: pip install 'ruthan[client]'", name=error.name
    ) from None

from ruthan.client.async_client import AsyncClient
from ruthan.client.replies import FeedbackReceipt, ItemError, Job, Limits, ServiceModel
from ruthan.client.sync_client import Client

del _httpx

__all__ = ["AsyncClient", "Client", "FeedbackReceipt", "ItemError", "Job", "Limits", "ServiceModel"]
