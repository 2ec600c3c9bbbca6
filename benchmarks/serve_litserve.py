"""A server of the field to compare with: LitServe with its own batching, around a `transformers` pipeline.

pip install litserve
python benchmarks/serve_litserve.py models/ruthan-e5s --port 8002

Runs the weights of a bundle, in float32, up to 32 texts at a time; label and score only.
"""

import argparse
from pathlib import Path

import litserve
import torch

from benchmarks.dump_speed import plain_pipeline


class Scan(litserve.LitAPI):
    def __init__(self, folder: Path, **options):
        super().__init__(**options)
        self.folder = folder

    def setup(self, device):
        self.classify = plain_pipeline(self.folder)

    def decode_request(self, request):
        return request["text"]

    def predict(self, texts):
        with torch.inference_mode():
            return self.classify(texts, truncation=True, batch_size=len(texts))

    def encode_response(self, output):
        return output


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--port", type=int, default=8002)
    options = parser.parse_args()
    api = Scan(options.bundle, max_batch_size=32, batch_timeout=0.005, api_path="/v1/scan")
    server = litserve.LitServer(api, accelerator="cpu", timeout=120)
    server.run(host="127.0.0.1", port=options.port, generate_client_file=False, log_level="warning")


if __name__ == "__main__":
    main()
