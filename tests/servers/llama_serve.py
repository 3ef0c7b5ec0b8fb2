"""``python llama_serve.py FOLDER FILE PORT``: llama.cpp's own server with a model of this project.

It runs in the environment that ``make llama-server`` makes, until it is stopped.
"""

import signal
import sys
from pathlib import Path

import xllamacpp
from bundled_gguf import write_gguf

CONTEXT = 512  # of each of the slots, in tokens
SLOTS = 4


def main(folder: Path, file: Path, port: int) -> None:
    """Write the model as GGUF and serve it under its folder's name."""
    write_gguf(folder, file)
    params = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.model_alias = {folder.name}
    params.port = port
    params.n_ctx = CONTEXT * SLOTS
    params.n_parallel = SLOTS
    params.cpuparams.n_threads = 1
    server = xllamacpp.Server(params)
    sys.stdout.write(f"{server.listening_address}\n")
    signal.pause()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
