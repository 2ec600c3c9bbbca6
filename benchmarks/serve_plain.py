"""A plain server to compare with: FastAPI around a `transformers` pipeline, as tutorials show it.

python benchmarks/serve_plain.py models/ruthan-e5s --port 8001

Runs the weights of a bundle, in float32. It gives label and score only: no evidence, no reasons.
"""

import argparse
from pathlib import Path

import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.dump_speed import plain_pipeline


class Text(BaseModel):
    text: str


class Texts(BaseModel):
    messages: list[Text]


def make(folder: Path) -> FastAPI:
    classify = plain_pipeline(folder)
    app = FastAPI()

    @app.post("/v1/scan")
    def scan(request: Text):
        with torch.inference_mode():
            return classify(request.text, truncation=True)[0]

    @app.post("/v1/scan/batch")
    def scan_batch(request: Texts):
        with torch.inference_mode():
            return {"results": classify([each.text for each in request.messages], truncation=True, batch_size=32)}

    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--port", type=int, default=8001)
    options = parser.parse_args()
    uvicorn.run(make(options.bundle), port=options.port, access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
